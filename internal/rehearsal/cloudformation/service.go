// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cloudformation simulates AWS CloudFormation: template validation, stacks, and
// stack sets whose operations take time. Package template evaluates templates, resource
// creates resources in the other services, and stack has the stacks of an account.
//
// Nothing runs in the background: every call first applies the changes that are due
// (settle).
package cloudformation

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/stack"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Fetcher returns the template at a TemplateURL, as S3 does.
type Fetcher interface {
	Fetch(url string) ([]byte, error)
}

// Config configures a Service.
type Config struct {
	Clock     pace.Clock
	Pace      pace.Profile // Stack is the duration of each stack's change
	AccountID string       // administrator account, twelve digits
	Seed      string       // determines all ids
	Regions   []string     // regions that can contain stacks
	Templates Fetcher      // nil rejects every TemplateURL
	Zones     func(region string) []string
	Client    query.Client // of the account's other services
	// Other returns the CloudFormation of an account, in which a stack set creates a stack.
	Other func(account string) *Service
}

// Service is one account's CloudFormation in all regions. Its methods are
// safe for concurrent use.
type Service struct {
	cfg          Config
	stacks       *stack.Service
	mu           sync.Mutex // guards everything below
	idCount      int        // number of ids
	regions      map[string]*region
	injectedEnds []*stackEnd
	joined       map[string][]string // unit: accounts that joined it later
}

type region struct {
	sets []*stackSet // in the order of creation, including deleted sets
}

// StackEnd is the injected final status of stacks.
type StackEnd struct {
	Region  string // stack region; empty for any
	Account string // stack account; empty for any
	Failed  bool
	Reason  string // status reason
	Times   int    // number of stacks; 0 for all
}

type stackEnd struct {
	StackEnd
	left int // -1 for all
}

// New returns a service without stack sets.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, regions: map[string]*region{}, stacks: stack.New(stack.Config{
		Clock: cfg.Clock, Pace: cfg.Pace, AccountID: cfg.AccountID, Seed: cfg.Seed, Zones: cfg.Zones, Client: cfg.Client,
	})}
}

// Settle does what is due in the account's stacks and stack sets.
func (s *Service) Settle() {
	s.stacks.Settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.cfg.Clock.Now())
}

// Inventory returns the stacks that exist, by region.
func (s *Service) Inventory() map[string][]stack.State { return s.stacks.Existing() }

// EndStacks sets the final status of the next stack changes. It replaces the setting
// of the same region and account; a status other than Failed only resets it.
func (s *Service) EndStacks(end StackEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injectedEnds = slices.DeleteFunc(s.injectedEnds, func(e *stackEnd) bool { return e.Region == end.Region && e.Account == end.Account })
	if !end.Failed {
		return
	}
	left := end.Times
	if left == 0 {
		left = -1
	}
	s.injectedEnds = append(s.injectedEnds, &stackEnd{end, left})
}

// failure returns the injected failure reason of a stack change, or an empty string.
func (s *Service) failure(set *stackSet, i *instance) string {
	for _, e := range s.injectedEnds {
		if e.left == 0 || e.Region != "" && e.Region != i.region || e.Account != "" && e.Account != i.account {
			continue
		}
		if e.left > 0 {
			e.left--
		}
		switch {
		case e.Reason != "":
			return e.Reason
		case e.Account != "":
			return set.notEnabled(i.account)
		}
		return "ResourceLogicalId: Rehearsal, ResourceStatusReason: the rehearsal injected a failure of stacks in " + i.region + "."
	}
	return ""
}

// call is the request being served. It holds the service's lock.
type call struct {
	s          *Service
	r          *region
	regionName string
	p          query.Params
	now        time.Time
}

var actions = map[string]func(*call) (any, error){
	"ValidateTemplate":             validateTemplate,
	"CreateStackSet":               createStackSet,
	"UpdateStackSet":               updateStackSet,
	"DeleteStackSet":               deleteStackSet,
	"DescribeStackSet":             describeStackSet,
	"ListStackSets":                listStackSets,
	"CreateStackInstances":         createStackInstances,
	"UpdateStackInstances":         updateStackInstances,
	"DeleteStackInstances":         deleteStackInstances,
	"DescribeStackInstance":        describeStackInstance,
	"ListStackInstances":           listStackInstances,
	"DescribeStackSetOperation":    describeStackSetOperation,
	"ListStackSetOperations":       listStackSetOperations,
	"ListStackSetOperationResults": listStackSetOperationResults,
	"StopStackSetOperation":        stopStackSetOperation,
	"CreateStack":                  createStack,
	"UpdateStack":                  updateStack,
	"DeleteStack":                  deleteStack,
	"DescribeStacks":               describeStacks,
	"DescribeStackEvents":          describeStackEvents,
	"DescribeStackResource":        describeStackResource,
	"DescribeStackResources":       describeStackResources,
	"ListStackResources":           listStackResources,
	"ListStacks":                   listStacks,
	"GetTemplate":                  getTemplate,
	"SignalResource":               signalResource,
}

// Call serves one action in a region. The error is always a *query.Error.
func (s *Service) Call(regionName, action string, p query.Params) (any, error) {
	run, ok := actions[action]
	if !ok {
		return nil, query.Errorf("InvalidAction", "Could not find operation %s for version 2010-05-15", action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.regions[regionName] == nil {
		s.regions[regionName] = &region{}
	}
	c := &call{s: s, r: s.regions[regionName], regionName: regionName, p: p, now: s.cfg.Clock.Now()}
	s.settle(c.now)
	body, err := run(c)
	s.settle(c.now) // completes changes without a duration
	if err != nil {
		if known := new(query.Error); errors.As(err, &known) {
			return nil, known
		}
		return nil, &query.Error{Code: "InternalFailure", Message: err.Error(), Status: 500}
	}
	raw, err := query.Encode(body)
	if err != nil {
		return nil, &query.Error{Code: "InternalFailure", Message: err.Error(), Status: 500}
	}
	return raw, nil
}

// settle applies all changes that are due.
func (s *Service) settle(now time.Time) {
	for _, r := range s.regions {
		for _, set := range r.sets {
			set.settle(s, now)
		}
	}
}

// invalid returns a ValidationError.
func invalid(format string, args ...any) error {
	return query.Errorf("ValidationError", format, args...)
}

func failed(status int, code, format string, args ...any) error {
	return &query.Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
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
	sum := sha256.Sum256(fmt.Appendf(nil, "%s cloudformation %d", s.cfg.Seed, s.idCount))
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// stamp formats a time for the protocol.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// page returns the requested page of a list and the token of the next page.
func page[T any](c *call, all []T) (query.Members[T], string, error) {
	most, err := c.p.Int("MaxResults", 100)
	if err != nil || most < 1 || most > 100 {
		return query.Members[T]{}, "", invalid("MaxResults is %q, expected 1 to 100", c.p.Get("MaxResults"))
	}
	from := 0
	if token := c.p.Get("NextToken"); token != "" {
		if from, err = c.p.Int("NextToken", 0); err != nil || from < 1 || from > len(all) {
			return query.Members[T]{}, "", invalid("NextToken %q is invalid", token)
		}
	}
	to := min(from+most, len(all))
	next := ""
	if to < len(all) {
		next = fmt.Sprint(to)
	}
	return query.Members[T]{Items: all[from:to]}, next, nil
}
