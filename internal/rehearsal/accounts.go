// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/iam"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/kms"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ssm"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/sts"
)

// account is an account besides the rehearsal's own. It exists as soon as one of its
// roles is assumed, or its policy is set. It has the services that copying an image to it
// needs: EC2, IAM, KMS, Parameter Store and STS.
type account struct {
	id     string
	ec2    *ec2.Service
	iam    *iam.Service
	kms    *kms.Service
	ssm    *ssm.Service
	policy *policy.Document // of all its roles; nil allows everything
}

// role is a session of an account's role.
type role struct {
	*account
	sts sts.Service
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
	a.ec2 = s.ec2.Other(id, a.kms.ForEBS, func(keyARN string) bool { return s.kms.Readable(keyARN, id) })
	a.ssm = &ssm.Service{
		Clock: s.cfg.Clock, ImageValidation: s.cfg.Pace.Parameter, AccountID: id, Open: a.ec2.Open, HasImage: a.ec2.HasImage, Agent: a.ec2.Agent, Sessions: &s.tunnel,
	}
	s.others[id] = a
	return a
}

// AllowIn sets the policy of all roles of another account; nil allows everything.
func (s *Server) AllowIn(id string, d *policy.Document) {
	a := s.other(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.policy = d
}

// openRole starts a session of a role in another account. It returns the session's keys.
func (s *Server) openRole(id, arn, session string) (accessKey, secretKey string) {
	a := s.other(id)
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	caller := "arn:aws:sts::" + id + ":assumed-role/" + name + "/" + session
	accessKey = "ASIA" + randomKeyID()[4:]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[accessKey] = &role{a, sts.Service{AccountID: id, AccessKey: accessKey, SecretKey: s.cfg.SecretKey, Now: s.cfg.Clock.Now, Caller: caller, Open: s.openRole}}
	return accessKey, s.cfg.SecretKey
}

// instanceRole returns the role of an instance profile with credentials for an instance.
// The policies of the role are not applied.
func (s *Server) instanceRole(profileARN, instanceID string) *imds.Role {
	profileID, name := s.iam.RoleForInstance(profileARN)
	if name == "" {
		return nil
	}
	now := s.cfg.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	accessKey := s.instanceKeys[instanceID]
	if accessKey == "" {
		accessKey = "ASIA" + randomKeyID()[4:]
		s.instanceKeys[instanceID] = accessKey
		caller := "arn:aws:sts::" + AccountID + ":assumed-role/" + name + "/" + instanceID
		own := &account{id: AccountID, ec2: s.ec2, iam: s.iam, kms: s.kms, ssm: s.ssm}
		s.roles[accessKey] = &role{own, sts.Service{AccountID: AccountID, AccessKey: accessKey, SecretKey: s.cfg.SecretKey, Now: s.cfg.Clock.Now, Caller: caller, Open: s.openRole}}
	}
	return &imds.Role{
		Name: name, ProfileARN: profileARN, ProfileID: profileID,
		AccessKey: accessKey, SecretKey: s.cfg.SecretKey, Token: "rehearsal", From: now, Until: now.Add(6 * time.Hour),
	}
}

// identify sets the role that makes a request. It fails for an unknown access key or a
// wrong signature.
func (s *Server) identify(r *http.Request, at *scope) error {
	invalid := &query.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
	s.mu.Lock()
	at.role = s.roles[at.accessKey]
	s.mu.Unlock()
	if at.role == nil && at.accessKey != s.cfg.AccessKey {
		if at.service == "s3" {
			return &query.Error{Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records.", Status: 403}
		}
		return invalid
	}
	switch ok, err := signed(r, *at, s.cfg.SecretKey); { // a role has the same secret key
	case err != nil:
		return err
	case ok:
		return nil
	case at.service == "ec2":
		return invalid
	}
	return &query.Error{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.", Status: 403}
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

// serve serves an admitted call of a role.
func (r *role) serve(at scope, action string, p query.Params) (any, error) {
	switch at.service {
	case "ec2":
		return r.ec2.Call(at.region, action, p)
	case "iam":
		return r.iam.Call(action, p)
	case "kms":
		return r.kms.Call(at.region, action, p)
	case "ssm":
		return r.ssm.Call(at.region, action, p)
	case "sts":
		return r.sts.Call(action, p)
	}
	return nil, &query.Error{Code: "InvalidAction", Message: "The rehearsal does not support the service " + at.service + " in another account.", Status: 501}
}

// InventoryOf returns the existing resources of another account by region.
func (s *Server) InventoryOf(id string) map[string][]ec2.Resource {
	a := s.other(id)
	all := a.ec2.Inventory()
	for _, p := range a.ssm.Parameters() {
		all[p.Region] = append(all[p.Region], ec2.Resource{Kind: "parameter", ID: p.Name, Name: p.Name, Tags: p.Tags, Image: p.Image})
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
