// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ec2 simulates the parts of Amazon EC2 that building images uses. Its state
// is in memory, for each region. Each file implements one kind of resource: its
// encoding, its actions and its states. Package network has the networks and key pairs.
//
// Only the machines of instances run in the background. Every call first applies the
// changes that are due (settle), so that tests control the state with their clock.
package ec2

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Config configures a Service.
type Config struct {
	Clock     pace.Clock    // nil for the system clock
	Pace      pace.Profile  // durations of operations
	Host      instance.Host // starts machines; with nil, instances have states but no machine
	AccountID string        // twelve digits
	Seed      string        // determines all ids
	OptIn     bool          // the account has opted in to all regions
	// Addresses is the number of the first instance's address 127.77.x.y; x is the
	// high byte. Servers with machines on one host require different values.
	Addresses uint16
	// Keys returns the ARN of a KMS key in a region, empty if it does not exist, and
	// whether EBS can use it; nil accepts every key.
	Keys func(region, key string) (arn string, usable bool)
	// Refuse returns the injected error of a launch in a pool of a fleet, whose
	// parameters are those of RunInstances; nil accepts all.
	Refuse func(region string, p query.Params) error
	// Log receives messages for later diagnosis; nil discards them.
	Log func(format string, args ...any)
	// Reads reports whether the account can read what a key of another account has
	// encrypted; nil denies it.
	Reads func(keyARN string) bool
	// Profile returns the ARN and the id of an instance profile, or the reason why
	// EC2 rejects it; nil rejects all.
	Profile func(name string) (arn, id string, err *query.Error)
	// Role returns the role of an instance profile, with credentials for an instance, or
	// nil without a role.
	Role func(profileARN, instanceID string) *imds.Role
}

// Service is one account's EC2 in all regions. Its methods are safe for
// concurrent use.
type Service struct {
	cfg     Config
	ids     *store.IDs  // of all accounts
	mu      *sync.Mutex // guards everything below, and all resources of all accounts
	others  *accounts
	regions map[string]*region
	copies  map[string]ImageEnd      // injected results of copies, by destination region
	images  map[string]ImageEnd      // injected results of CreateImage, by region
	meters  []*meter                 // of all instances, including terminated ones
	delays  map[string]time.Duration // delay of each further snapshot of an image, by region
	pages   map[string]int           // resources on a page of a list, by region; 0 means all
	// launchEnds are injected results of launches, by region.
	launchEnds map[string][]*LaunchEnd
	closed     bool
}

// ImageEnd is the injected result of images.
type ImageEnd struct {
	State  string        // such as "failed"; empty for "available"
	Reason string        // state reason
	Takes  time.Duration // duration; 0 for that of the pace
	Times  int           // number of images; 0 for all
}

// New returns an account that contains only the resources that AWS provides in each
// region: a default network and public images.
func New(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = pace.System{}
	}
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	s := &Service{cfg: cfg, ids: &store.IDs{Seed: cfg.Seed, Address: cfg.Addresses}, mu: &sync.Mutex{}, others: &accounts{}}
	return s.open()
}

// open creates the account's regions.
func (s *Service) open() *Service {
	s.regions = map[string]*region{}
	s.copies, s.images, s.launchEnds = map[string]ImageEnd{}, map[string]ImageEnd{}, map[string][]*LaunchEnd{}
	s.delays, s.pages = map[string]time.Duration{}, map[string]int{}
	for _, d := range catalog.Regions {
		s.regions[d.Name] = s.newRegion(d)
	}
	s.others.all = append(s.others.all, s)
	return s
}

// EndCopies sets the result of the next copies to a region; the zero value resets
// it.
func (s *Service) EndCopies(region string, end ImageEnd) { s.endImages(s.copies, region, end) }

// EndImages sets the result of the next images that CreateImage makes in a region;
// the zero value resets it.
func (s *Service) EndImages(region string, end ImageEnd) { s.endImages(s.images, region, end) }

func (s *Service) endImages(ends map[string]ImageEnd, region string, end ImageEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end.State == "available" {
		end.State = ""
	}
	if end.State == "" && end.Takes == 0 {
		delete(ends, region)
		return
	}
	if end.State != "" && end.Reason == "" {
		end.Reason = "The image failed with an internal error."
	}
	if end.Times == 0 {
		end.Times = -1
	}
	ends[region] = end
}

// next returns the injected result of a new image in a region.
func next(ends map[string]ImageEnd, region string) ImageEnd {
	end := ends[region]
	if end.Times == 0 {
		return ImageEnd{}
	}
	end.Times--
	ends[region] = end
	return end
}

// DelaySnapshots sets how much later each further snapshot of an image is found
// than the one before.
func (s *Service) DelaySnapshots(region string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays[region] = by
}

// Paginate sets the number of resources in a page of lists that request none.
func (s *Service) Paginate(region string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[region] = size
}

// call is the request being served. It holds the service's lock.
type call struct {
	network.Call
	s *Service
	r *region
}

// newCall returns a call in a region.
func (s *Service) newCall(r *region, action string, p query.Params) *call {
	request := &api.Request{
		Params: p, Action: action, Now: s.cfg.Clock.Now(), Account: s.cfg.AccountID, IDs: s.ids, Tokens: r.tokens, PageSize: s.pages[r.Name],
		NotFound: s.cfg.Pace.NotFound,
	}
	return &call{Call: network.Call{Request: request, Net: r.Region, InUse: r.inUse}, s: s, r: r}
}

// Call serves one action in a region. The error is always a *query.Error.
func (s *Service) Call(regionName, action string, p query.Params) (query.Raw, error) {
	a, ok := actionNamed(action)
	if !ok {
		return nil, query.Errorf("InvalidAction", "The action %s is not valid for this web service.", action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[regionName]
	if r == nil || !r.optedIn() {
		return nil, &query.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
	}
	for _, name := range a.required {
		if !p.Has(name) {
			return nil, query.Errorf("MissingParameter", "The request must contain the parameter %s", name)
		}
	}
	if s.closed {
		return nil, &query.Error{Code: "Unavailable", Message: "The rehearsal is ending.", Status: 503}
	}
	c := s.newCall(r, action, p)
	for _, account := range s.others.all { // what they share may have changed, too
		account.settle(c.Now)
	}
	body, err := a.run(c)
	if err != nil {
		if known := new(query.Error); errors.As(err, &known) {
			return nil, known
		}
		return nil, &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
	}
	if err := c.Commit(); err != nil { // a successful dry run of an action without changes
		return nil, err
	}
	raw, err := query.Encode(body)
	if err != nil {
		return nil, &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
	}
	return raw, nil
}

// Regions returns the names of all regions.
func (s *Service) Regions() []string {
	names := make([]string, 0, len(catalog.Regions))
	for _, d := range catalog.Regions {
		names = append(names, d.Name)
	}
	return names
}

// Close stops the host with all its machines. Later calls return Unavailable.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, r := range s.regions {
		for _, i := range r.instances.All() {
			i.queue.Cancel()
		}
	}
	s.mu.Unlock()
	if s.cfg.Host == nil {
		return nil
	}
	if err := s.cfg.Host.Close(); err != nil {
		return fmt.Errorf("stopping the machines: %w", err)
	}
	return nil
}

// settle applies all changes that are due.
func (s *Service) settle(now time.Time) {
	for _, r := range s.regions {
		for _, block := range r.reservations.All() {
			block.settle(now)
		}
		for _, snap := range r.snapshots.All() {
			snap.settle(s, now)
		}
		for _, img := range r.images.All() {
			img.settle()
		}
		for _, i := range r.instances.All() {
			s.settleInstance(r, i, now)
		}
	}
}
