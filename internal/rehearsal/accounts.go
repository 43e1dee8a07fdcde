// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/autoscaling"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudwatch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/iam"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/kms"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ssm"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/sts"
)

// account is an account with the services that copying an image to it and running a
// stack in it need. One besides the rehearsal's own exists as soon as one of its roles is
// assumed, its policy is set, or a stack set creates a stack in it.
type account struct {
	id     string
	ec2    *ec2.Service
	iam    *iam.Service
	kms    *kms.Service
	ssm    *ssm.Service
	groups *autoscaling.Service
	stacks *cloudformation.Service
	watch  *cloudwatch.Service
	policy *policy.Document // of all its roles; nil allows everything
}

// role is a session of an account's role.
type role struct {
	*account
	sts   sts.Service
	token string // its session token
}

// other returns an account, and creates it on first use.
func (s *Server) other(id string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.others[id]; a != nil {
		return a
	}
	a := &account{
		id:  id,
		iam: &iam.Service{Clock: s.cfg.Clock, AccountID: id, Delay: s.cfg.Pace.NotFound},
		kms: &kms.Service{AccountID: id, Seed: s.cfg.Seed + id},
	}
	a.ec2 = s.ec2.Other(id, func(cfg *ec2.Config) {
		cfg.Keys, cfg.Reads = a.kms.ForEBS, func(keyARN string) bool { return s.kms.Readable(keyARN, id) }
		cfg.Profile, cfg.Role = a.iam.ProfileForLaunch, func(profileARN, instanceID string) *imds.Role { return s.instanceRole(a, profileARN, instanceID) }
		cfg.Refuse = func(region string, p query.Params) error { return s.faults.next(id, region, "RunInstances", p) }
	})
	s.complete(a)
	s.others[id] = a
	return a
}

// complete creates the services of an account that use its EC2.
func (s *Server) complete(a *account) {
	a.ssm = &ssm.Service{
		Clock: s.cfg.Clock, ImageValidation: s.cfg.Pace.Parameter, AccountID: a.id, Open: a.ec2.Open, HasImage: a.ec2.HasImage, Agent: a.ec2.Agent, Sessions: &s.tunnel,
	}
	a.watch = &cloudwatch.Service{Clock: s.cfg.Clock}
	a.groups = autoscaling.New(autoscaling.Config{
		Clock: s.cfg.Clock, Pace: s.cfg.Pace, AccountID: a.id, Seed: s.cfg.Seed, EC2: a.ec2, Parameter: a.parameter,
	})
	a.stacks = cloudformation.New(cloudformation.Config{
		Clock: s.cfg.Clock, Pace: s.cfg.Pace, AccountID: a.id, Seed: s.cfg.Seed, Regions: s.ec2.Regions(), Templates: s.cfg.Templates,
		Zones: a.ec2.Zones, Client: a.call, Other: func(id string) *cloudformation.Service { return s.account(id).stacks },
	})
}

// account returns an account, the rehearsal's own or another.
func (s *Server) account(id string) *account {
	if id == AccountID {
		return s.own
	}
	return s.other(id)
}

// accounts returns the existing accounts, the rehearsal's own first.
func (s *Server) accounts() []*account {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []*account{s.own}
	for _, id := range slices.Sorted(maps.Keys(s.others)) {
		all = append(all, s.others[id])
	}
	return all
}

// settle does what is due in the groups and stacks of all accounts.
func (s *Server) settle() {
	for _, a := range s.accounts() {
		a.groups.Settle()
		a.stacks.Settle()
	}
}

// parameter returns the value of a parameter of Systems Manager.
func (a *account) parameter(region, name string) (string, error) {
	var found struct{ Parameter struct{ Value string } }
	err := a.call("ssm", region, "GetParameter", query.Params{"Name": name}, &found)
	return found.Parameter.Value, err
}

// call is the client of the account's CloudFormation. It may do everything.
func (a *account) call(service, region, action string, p query.Params, out any) error {
	body, err := a.serve(scope{region: region, service: service}, action, p, true)
	if err != nil || out == nil {
		return err
	}
	return query.Decode(body, out)
}

// serve serves an admitted call; stack is set for one of CloudFormation.
func (a *account) serve(at scope, action string, p query.Params, stack bool) (any, error) {
	switch at.service {
	case "ec2":
		return a.ec2.Call(at.region, action, p)
	case "iam":
		return a.iam.Call(action, p)
	case "kms":
		return a.kms.Call(at.region, action, p)
	case "ssm":
		return a.ssm.Call(at.region, action, p)
	case "autoscaling":
		if stack {
			return a.groups.CallForStack(at.region, action, p)
		}
		return a.groups.Call(at.region, action, p)
	case "cloudformation":
		return a.stacks.Call(at.region, action, p)
	case "monitoring":
		return a.watch.Call(at.region, action, p)
	}
	return nil, &query.Error{Code: "InvalidAction", Message: "The rehearsal does not support the service " + at.service + " in this account.", Status: 501}
}

// AllowIn sets the policy of all roles of another account; nil allows everything.
func (s *Server) AllowIn(id string, d *policy.Document) {
	a := s.other(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.policy = d
}

// openRole starts a session of a role in another account. It returns the session's keys.
func (s *Server) openRole(id, arn, session string) sts.Keys {
	a := s.other(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openSession(a, arn[strings.LastIndexByte(arn, '/')+1:], session)
}

// openSession starts a session of a role. The caller holds the lock. All sessions have
// the rehearsal's secret key, and a token of their own.
func (s *Server) openSession(a *account, name, session string) sts.Keys {
	keys := sts.Keys{AccessKey: "ASIA" + randomKeyID()[4:], SecretKey: s.cfg.SecretKey, Token: randomHex(32)}
	caller := "arn:aws:sts::" + a.id + ":assumed-role/" + name + "/" + session
	s.roles[keys.AccessKey] = &role{a, sts.Service{AccountID: a.id, Keys: keys, Now: s.cfg.Clock.Now, Caller: caller, Open: s.openRole}, keys.Token}
	return keys
}

// instanceRole returns the role of an instance profile with credentials for an instance
// of an account. The policies of the role are not applied.
func (s *Server) instanceRole(of *account, profileARN, instanceID string) *imds.Role {
	profileID, name := of.iam.RoleForInstance(profileARN)
	if name == "" {
		return nil
	}
	now := s.cfg.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, ok := s.instanceKeys[instanceID]
	if !ok {
		keys = s.openSession(of, name, instanceID)
		s.instanceKeys[instanceID] = keys
	}
	return &imds.Role{
		Name: name, ProfileARN: profileARN, ProfileID: profileID,
		AccessKey: keys.AccessKey, SecretKey: keys.SecretKey, Token: keys.Token, From: now, Until: now.Add(6 * time.Hour),
	}
}

// callerOf returns the caller of a request with its policy, and the EC2 of its account.
func (s *Server) callerOf(at scope) (iam.Caller, *ec2.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.role != nil {
		return iam.Caller{ARN: at.role.sts.Caller, Policy: at.role.policy}, at.role.ec2
	}
	return s.caller, s.ec2
}

// InventoryOf returns the existing resources of another account by region.
func (s *Server) InventoryOf(id string) map[string][]ec2.Resource {
	a := s.other(id)
	s.settle()
	return a.inventory()
}

// inventory returns the resources of the services that every account has.
func (a *account) inventory() map[string][]ec2.Resource {
	all := a.ec2.Inventory()
	for _, p := range a.ssm.Parameters() {
		all[p.Region] = append(all[p.Region], ec2.Resource{Kind: "parameter", ID: p.Name, Name: p.Name, Tags: p.Tags, Image: p.Image})
	}
	for _, r := range a.iam.Resources() {
		all[Global] = append(all[Global], ec2.Resource{Kind: r.Kind, ID: r.Name, Name: r.Name, Tags: r.Tags})
	}
	for _, g := range a.groups.Groups() {
		all[g.Region] = append(all[g.Region], ec2.Resource{Kind: "auto-scaling-group", ID: g.Name, Name: g.Name, Tags: g.Tags})
	}
	for region, stacks := range a.stacks.Inventory() {
		for _, v := range stacks {
			all[region] = append(all[region], ec2.Resource{Kind: "stack", ID: v.ID, Name: v.Name, State: v.Status, Tags: v.Tags})
		}
	}
	return all
}

// inventories returns the resources of all accounts: those of the rehearsal's own by
// region, and those of others by "ACCOUNT/REGION".
func (s *Server) inventories() map[string][]ec2.Resource {
	all := s.Inventory()
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.others))
	s.mu.Unlock()
	for _, id := range ids {
		for region, list := range s.InventoryOf(id) {
			all[id+"/"+region] = list
		}
	}
	return all
}
