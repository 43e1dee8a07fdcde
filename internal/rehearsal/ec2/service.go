// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ec2 behaves as Amazon EC2 does, where baking images is concerned.
// Everything lives in memory, a state a region. A file holds one kind of
// resource: its shape on the wire, its actions, its states.
//
// Nothing runs in the background but the machines of a sandbox: every call
// first lets those changes happen whose time has come (settle), so that a test
// with a clock of its own sees exactly what it asks for.
package ec2

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Config says how a Service is to behave.
type Config struct {
	Clock     pace.Clock    // nil is the system's
	Pace      pace.Profile  // how long things take
	Host      instance.Host // starts machines; nil means that instances are only names
	AccountID string        // twelve digits
	Seed      string        // of all ids; the same seed gives the same ids
	OptIn     bool          // the account has opted in to all regions
	// Addresses numbers the first instance's address 127.77.x.y: x is its high
	// byte. Servers with machines on one host need different ones.
	Addresses uint16
	// Log receives what a user may want to know afterwards; nil is nowhere.
	Log func(format string, args ...any)
}

// Service is one account's EC2 in all regions. Its methods may be called from
// several goroutines.
type Service struct {
	cfg     Config
	ids     ids
	mu      sync.Mutex // guards everything below, and all resources
	regions map[string]*region
	copies  map[string]CopyEnd // how copies into a region are to end
	meters  []*meter           // of all instances ever launched
	closed  bool
}

// CopyEnd is how copies end that were told to.
type CopyEnd struct {
	State  string        // "failed" for example; empty is "available"
	Reason string        // what EC2 says of it
	Takes  time.Duration // how long they take; 0 is the pace's
	Times  int           // how many copies, 0 for all
}

// New makes the account, empty but for what AWS provides in each region: a
// default network and public images.
func New(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = pace.System{}
	}
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	s := &Service{cfg: cfg, ids: ids{seed: cfg.Seed, address: cfg.Addresses}, regions: map[string]*region{}, copies: map[string]CopyEnd{}}
	for _, d := range regionData {
		s.regions[d.name] = s.newRegion(d)
	}
	return s
}

// EndCopies says how the next copies into a region end; the zero value undoes
// it.
func (s *Service) EndCopies(region string, end CopyEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end.State == "available" {
		end.State = ""
	}
	if end.State == "" && end.Takes == 0 {
		delete(s.copies, region)
		return
	}
	if end.State != "" && end.Reason == "" {
		end.Reason = "Copy image failed with an internal error."
	}
	if end.Times == 0 {
		end.Times = -1
	}
	s.copies[region] = end
}

// endOfCopy is how a copy into a region that begins now is to end.
func (s *Service) endOfCopy(region string) CopyEnd {
	end := s.copies[region]
	if end.Times == 0 {
		return CopyEnd{}
	}
	end.Times--
	s.copies[region] = end
	return end
}

// call is one request while it is served. The service is locked meanwhile.
type call struct {
	s      *Service
	r      *region
	p      query.Params
	now    time.Time
	action string
}

// errDryRun ends a call that would have succeeded.
var errDryRun = &query.Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: 412}

// Call serves one action in a region. The error is always a *query.Error.
func (s *Service) Call(regionName, action string, p query.Params) (query.Raw, error) {
	a, ok := actions[action]
	if !ok {
		return nil, query.Errorf("InvalidAction", "The action %s is not valid for this web service.", action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[regionName]
	if r == nil || !r.optedIn() {
		return nil, &query.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
	}
	for _, name := range a.needs {
		if !p.Has(name) {
			return nil, query.Errorf("MissingParameter", "The request must contain the parameter %s", name)
		}
	}
	if s.closed {
		return nil, &query.Error{Code: "Unavailable", Message: "The rehearsal is ending.", Status: 503}
	}
	c := &call{s: s, r: r, p: p, now: s.cfg.Clock.Now(), action: action}
	s.settle(c.now)
	body, err := a.run(c)
	if err != nil {
		if known := new(query.Error); errors.As(err, &known) {
			return nil, known
		}
		return nil, &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
	}
	if p.Bool("DryRun", false) {
		return nil, errDryRun
	}
	raw, err := query.Encode(body)
	if err != nil {
		return nil, &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
	}
	return raw, nil
}

// commit stands in every action between the last check and the first change:
// it ends a dry run.
func (c *call) commit() error {
	if c.p.Bool("DryRun", false) {
		return errDryRun
	}
	return nil
}

// Regions returns the names of all regions.
func (s *Service) Regions() []string {
	names := make([]string, 0, len(regionData))
	for _, d := range regionData {
		names = append(names, d.name)
	}
	return names
}

// Close ends the host with all its machines. Later calls answer Unavailable.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, r := range s.regions {
		for _, i := range r.instances.all() {
			i.box.cancel()
		}
	}
	s.mu.Unlock()
	if s.cfg.Host == nil {
		return nil
	}
	if err := s.cfg.Host.Close(); err != nil {
		return fmt.Errorf("ending the machines: %w", err)
	}
	return nil
}

// settle lets everything happen whose time has come.
func (s *Service) settle(now time.Time) {
	for _, r := range s.regions {
		for _, snap := range r.snapshots.all() {
			snap.settle(s, now)
		}
		for _, img := range r.images.all() {
			img.settle(r, now)
		}
		for _, i := range r.instances.all() {
			s.settleInstance(r, i, now)
		}
	}
}
