// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cloudformation behaves as AWS CloudFormation does where publishing a
// template is concerned: it looks at templates, and keeps stack sets whose
// operations take their time. A stack makes nothing: it is a template, the
// values of its parameters, and when these last changed. A file holds one kind
// of thing.
//
// Nothing runs in the background: every call first lets those changes happen
// whose time has come (settle).
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

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Fetcher gets the template that a TemplateURL names, as S3 does.
type Fetcher interface {
	Fetch(url string) ([]byte, error)
}

// Config says how a Service is to behave.
type Config struct {
	Clock     pace.Clock
	Pace      pace.Profile // Stack is how long one stack takes
	AccountID string       // of the administrator, twelve digits
	Seed      string       // of all ids; the same seed gives the same ids
	Regions   []string     // that stacks can be in
	Templates Fetcher      // nil: no TemplateURL can be read
}

// Service is one account's CloudFormation in all regions. Its methods may be
// called from several goroutines.
type Service struct {
	cfg     Config
	mu      sync.Mutex // guards everything below
	made    int        // ids
	regions map[string]*region
	ends    []*stackEnd
}

type region struct {
	sets []*stackSet // deleted ones too, in the order in which they were made
}

// StackEnd is how stacks end that were told to.
type StackEnd struct {
	Region  string // of the stacks; empty is any
	Account string // of the stacks; empty is any
	Failed  bool
	Reason  string // what CloudFormation says of it
	Times   int    // how many stacks, 0 for all
}

type stackEnd struct {
	StackEnd
	left int // -1: all
}

// New makes a service without any stack set.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, regions: map[string]*region{}}
}

// EndStacks says how the next changes of stacks end. It replaces what was said
// of the same region and account; one that is not Failed only undoes that.
func (s *Service) EndStacks(end StackEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = slices.DeleteFunc(s.ends, func(e *stackEnd) bool { return e.Region == end.Region && e.Account == end.Account })
	if !end.Failed {
		return
	}
	left := end.Times
	if left == 0 {
		left = -1
	}
	s.ends = append(s.ends, &stackEnd{end, left})
}

// failure is why the change of a stack that begins now is to fail; empty if it
// is not.
func (s *Service) failure(set *stackSet, i *instance) string {
	for _, e := range s.ends {
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
		return "ResourceLogicalId: of the rehearsal, ResourceStatusReason: stacks in " + i.region + " were told to fail."
	}
	return ""
}

// call is one request while it is served. The service is locked meanwhile.
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
	s.settle(c.now) // what takes no time is done
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

// settle lets everything happen whose time has come.
func (s *Service) settle(now time.Time) {
	for _, r := range s.regions {
		for _, set := range r.sets {
			set.settle(s, now)
		}
	}
}

// invalid is the error of a request that is none.
func invalid(format string, args ...any) error {
	return query.Errorf("ValidationError", format, args...)
}

func failed(status int, code, format string, args ...any) error {
	return &query.Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

// required says that a parameter is missing.
func (c *call) required(names ...string) error {
	for _, name := range names {
		if !c.p.Has(name) {
			return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", strings.ToLower(name[:1])+name[1:])
		}
	}
	return nil
}

// uuid makes the next id.
func (s *Service) uuid() string {
	s.made++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s cloudformation %d", s.cfg.Seed, s.made))
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// stamp is a time as the protocol writes it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// page is the part of a list that a request asks for, and the token of the next.
func page[T any](c *call, all []T) (query.Members[T], string, error) {
	most, err := c.p.Int("MaxResults", 100)
	if err != nil || most < 1 || most > 100 {
		return query.Members[T]{}, "", invalid("MaxResults is %q, expected 1 to 100", c.p.Get("MaxResults"))
	}
	from := 0
	if token := c.p.Get("NextToken"); token != "" {
		if from, err = c.p.Int("NextToken", 0); err != nil || from < 1 || from > len(all) {
			return query.Members[T]{}, "", invalid("NextToken is %q, which is none that was given", token)
		}
	}
	to := min(from+most, len(all))
	next := ""
	if to < len(all) {
		next = fmt.Sprint(to)
	}
	return query.Members[T]{Items: all[from:to]}, next, nil
}
