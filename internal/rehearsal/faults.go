// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"slices"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Fault makes calls fail, or copies. Each part that is empty is not looked at.
type Fault struct {
	// Action is the call that fails, such as RunInstances; as a dry run only
	// with the code UnauthorizedOperation, or where Where names DryRun.
	Action string `json:"action,omitempty"`
	// Region limits it to calls in that region.
	Region string `json:"region,omitempty"`
	// Where limits it to calls with these parameters, named as on the wire:
	// {"InstanceType": "g4dn.xlarge", "Placement.AvailabilityZone": "..."}.
	Where map[string]string `json:"where,omitempty"`
	// Nth is which of the matching calls fails, from 1; 0 is each of them.
	Nth int `json:"nth,omitempty"`
	// Code, Message and Status are the error. InternalError and 500 where
	// empty; the status is 400 where only the code is given, and 500 for
	// InsufficientInstanceCapacity, 503 for RequestLimitExceeded and SlowDown, as in AWS.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
	// CopyRegion makes the copies into a region that are begun from now on
	// end in State, "failed", and not available: the first Times of them, or
	// all where that is 0. An empty State undoes it.
	CopyRegion string `json:"copy_region,omitempty"`
	State      string `json:"state,omitempty"`
	Times      int    `json:"times,omitempty"`
	// CopyTakes is how long the copies into CopyRegion take instead, such as
	// "10m"; with no State they end well.
	CopyTakes string `json:"copy_takes,omitempty"`
	// StackRegion, StackAccount or both make the stacks there whose change
	// begins from now on end in State, "failed": the first Times of them, or all
	// where that is 0. An empty State undoes it. Without a Message, an account
	// is said not to be enabled for stack sets.
	StackRegion  string `json:"stack_region,omitempty"`
	StackAccount string `json:"stack_account,omitempty"`
	// Reclaim takes the spot instance of this id in Region back, once and at
	// once; "*" is every one there.
	Reclaim string `json:"reclaim,omitempty"`
	// Quota is the code of a quota, such as L-DB2E81BA, that has Value from now
	// on in Region: what Service Quotas says, whatever can be launched.
	Quota string  `json:"quota,omitempty"`
	Value float64 `json:"value,omitempty"`
}

// faults are the calls that are to fail.
type faults struct {
	mu   sync.Mutex
	list []*armed
}

type armed struct {
	Fault
	seen int
}

// AddFault arms a fault. A duration that is none is no change of pace.
func (s *Server) AddFault(f Fault) {
	if f.CopyRegion != "" {
		takes, _ := time.ParseDuration(f.CopyTakes)
		s.ec2.EndCopies(f.CopyRegion, ec2.CopyEnd{State: f.State, Reason: f.Message, Takes: takes, Times: f.Times})
		return
	}
	if f.StackRegion != "" || f.StackAccount != "" {
		s.stacks.EndStacks(cloudformation.StackEnd{Region: f.StackRegion, Account: f.StackAccount, Failed: f.State != "", Reason: f.Message, Times: f.Times})
		return
	}
	if f.Reclaim != "" {
		s.ec2.Reclaim(f.Region, f.Reclaim)
		return
	}
	if f.Quota != "" {
		s.quotas.Set(f.Region, f.Quota, f.Value)
		return
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, &armed{Fault: f})
}

// ClearFaults disarms all faults of calls.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

// next returns the error that this call is to fail with, if any.
func (l *faults) next(region, action string, p query.Params) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var hit *armed
	for _, f := range l.list {
		if f.Action != "" && f.Action != action || f.Region != "" && f.Region != region || !f.matches(p) {
			continue
		}
		f.seen++
		if hit == nil && (f.Nth == 0 || f.Nth == f.seen) {
			hit = f
		}
	}
	if hit == nil {
		return nil
	}
	return hit.asError()
}

// matches looks at the parameters. A dry run asks for permission alone: it is
// refused for want of it, or by a fault that names DryRun, and else no call.
func (f *Fault) matches(p query.Params) bool {
	if f.Where["DryRun"] == "" && f.Code != "UnauthorizedOperation" && p.Bool("DryRun", false) {
		return false
	}
	for name, value := range f.Where {
		if p.Get(name) != value {
			return false
		}
	}
	return true
}

func (f *Fault) asError() *query.Error {
	e := &query.Error{Code: f.Code, Message: f.Message, Status: f.Status}
	switch {
	case e.Status != 0:
	case e.Code == "" || e.Code == "InternalError" || e.Code == "InsufficientInstanceCapacity":
		e.Status = 500
	case slices.Contains([]string{"RequestLimitExceeded", "Unavailable", "ServiceUnavailable", "SlowDown"}, e.Code):
		e.Status = 503
	case e.Code == "UnauthorizedOperation":
		e.Status = 403
	}
	if e.Code == "" {
		e.Code = "InternalError"
	}
	if e.Message == "" {
		e.Message = map[string]string{
			"VcpuLimitExceeded":            "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
			"MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
			"InsufficientInstanceCapacity": "We currently do not have sufficient capacity in the Availability Zone you requested. Our system will be working on provisioning additional capacity.",
			"UnauthorizedOperation":        "You are not authorized to perform this operation.",
			"RequestLimitExceeded":         "Request limit exceeded.",
			"InternalError":                "An internal error has occurred",
		}[e.Code]
	}
	if e.Message == "" {
		e.Message = "The rehearsal was told to fail this call."
	}
	return e
}

// calls counts the calls by region and action.
type calls struct {
	mu   sync.Mutex
	made map[string]map[string]int
}

// dryRun is added to the name of an action that is asked for as a dry run.
const dryRun = " (dry run)"

func (c *calls) count(region, action string, p query.Params) {
	if p.Bool("DryRun", false) {
		action += dryRun
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = map[string]map[string]int{}
	}
	if c.made[region] == nil {
		c.made[region] = map[string]int{}
	}
	c.made[region][action]++
}

// Calls returns how often each action was called, by region, then action; one
// that was only asked for as a dry run is an action of its own.
func (s *Server) Calls() map[string]map[string]int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	out := map[string]map[string]int{}
	for region, actions := range s.calls.made {
		out[region] = map[string]int{}
		for action, n := range actions {
			out[region][action] = n
		}
	}
	return out
}
