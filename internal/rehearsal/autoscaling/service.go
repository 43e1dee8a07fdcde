// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package autoscaling simulates the parts of Amazon EC2 Auto Scaling that a mining stack
// uses: groups that launch and replace instances of the rehearsal's EC2, their activities,
// and instance refreshes. Each file implements one kind of resource.
//
// Nothing runs in the background: every call first does what is due (Settle).
package autoscaling

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Config configures a Service.
type Config struct {
	Clock     pace.Clock
	Pace      pace.Profile // Group is the time between attempts of a group to launch
	AccountID string       // twelve digits
	Seed      string       // determines all ids
	EC2       *ec2.Service // launches the instances
	// Parameter returns the value of a parameter of Systems Manager, for images that a
	// launch template names by resolve:ssm:.
	Parameter func(region, name string) (string, error)
}

// Service is one account's Auto Scaling in all regions. Its methods are safe for
// concurrent use.
type Service struct {
	cfg     Config
	mu      sync.Mutex // guards everything below
	idCount int        // number of ids
	regions map[string]*region
}

type region struct {
	name   string
	groups []*group    // in the order of creation
	past   []*activity // of deleted groups
}

// New returns a service without groups.
func New(cfg Config) *Service { return &Service{cfg: cfg, regions: map[string]*region{}} }

// call is the request being served. It holds the service's lock.
type call struct {
	s   *Service
	r   *region
	p   query.Params
	now time.Time
	// stack is set for a request of CloudFormation, which may set reserved tags.
	stack bool
}

var actions = map[string]func(*call) (any, error){
	"CreateAutoScalingGroup":              createGroup,
	"UpdateAutoScalingGroup":              updateGroup,
	"DeleteAutoScalingGroup":              deleteGroup,
	"DescribeAutoScalingGroups":           describeGroups,
	"DescribeAutoScalingInstances":        describeInstances,
	"DescribeScalingActivities":           describeActivities,
	"SetDesiredCapacity":                  setDesiredCapacity,
	"SetInstanceHealth":                   setInstanceHealth,
	"TerminateInstanceInAutoScalingGroup": terminateInstance,
	"SuspendProcesses":                    suspendProcesses,
	"ResumeProcesses":                     resumeProcesses,
	"StartInstanceRefresh":                startRefresh,
	"CancelInstanceRefresh":               cancelRefresh,
	"DescribeInstanceRefreshes":           describeRefreshes,
}

// Call serves one action in a region. The error is always a *query.Error.
func (s *Service) Call(regionName, action string, p query.Params) (any, error) {
	return s.serve(regionName, action, p, false)
}

// CallForStack serves a request of CloudFormation.
func (s *Service) CallForStack(regionName, action string, p query.Params) (any, error) {
	return s.serve(regionName, action, p, true)
}

func (s *Service) serve(regionName, action string, p query.Params, stack bool) (any, error) {
	run, ok := actions[action]
	switch {
	case !ok:
		return nil, query.Errorf("InvalidAction", "Could not find operation %s for version 2011-01-01", action)
	case !s.cfg.EC2.Open(regionName):
		return nil, &query.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.regions[regionName] == nil {
		s.regions[regionName] = &region{name: regionName}
	}
	c := &call{s: s, r: s.regions[regionName], p: p, now: s.cfg.Clock.Now(), stack: stack}
	s.settle(c.now)
	body, err := run(c)
	s.settle(c.now)
	if err != nil {
		if known := new(query.Error); errors.As(err, &known) {
			return nil, known
		}
		return nil, &query.Error{Code: "InternalFailure", Message: err.Error(), Status: 500}
	}
	return query.Encode(body)
}

// Settle does what is due in all groups.
func (s *Service) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
}

func (s *Service) settle(now time.Time) {
	for _, r := range s.regions {
		for _, g := range r.groups {
			g.settle(s, r, now)
		}
		r.groups = slices.DeleteFunc(r.groups, func(g *group) bool {
			gone := g.deleting && len(g.instances) == 0
			if gone {
				r.past = append(r.past, g.activities...)
			}
			return gone
		})
	}
}

// Group describes a group in the inventory.
type Group struct {
	Region, Name string
	Instances    int
	Tags         map[string]string
}

// Groups returns the existing groups, ordered by region.
func (s *Service) Groups() []Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
	var all []Group
	for _, r := range s.regions {
		for _, g := range r.groups {
			v := Group{Region: r.name, Name: g.Name, Instances: len(g.instances)}
			for _, t := range g.Tags.Items {
				if v.Tags == nil {
					v.Tags = map[string]string{}
				}
				v.Tags[t.Key] = t.Value
			}
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(a, b Group) int { return cmp.Compare(a.Region, b.Region) })
	return all
}

// invalid returns a ValidationError.
func invalid(format string, args ...any) error {
	return query.Errorf("ValidationError", format, args...)
}

// required returns an error for the first missing parameter.
func (c *call) required(names ...string) error {
	for _, name := range names {
		if !c.p.Has(name) {
			return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", strings.ToLower(name[:1])+name[1:])
		}
	}
	return nil
}

// uuid generates the next id.
func (s *Service) uuid() string {
	s.idCount++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s autoscaling %s %d", s.cfg.Seed, s.cfg.AccountID, s.idCount))
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// stamp formats a time for the protocol; an empty string for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// page returns the requested page of a list and the token of the next page.
func page[T any](c *call, all []T) (query.Members[T], string, error) {
	most, err := c.p.Int("MaxRecords", 100)
	if err != nil || most < 1 || most > 100 {
		return query.Members[T]{}, "", invalid("MaxRecords is %q, expected 1 to 100", c.p.Get("MaxRecords"))
	}
	from, err := c.p.Int("NextToken", 0)
	if err != nil || from < 0 || from > len(all) {
		return query.Members[T]{}, "", query.Errorf("InvalidNextToken", "The NextToken value is not valid.")
	}
	to, next := min(from+most, len(all)), ""
	if to < len(all) {
		next = fmt.Sprint(to)
	}
	return query.Members[T]{Items: all[from:to]}, next, nil
}
