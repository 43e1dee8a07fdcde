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

// Fault makes calls or copies fail. Empty fields are ignored.
type Fault struct {
	// Action is the call that fails, such as RunInstances. Dry runs fail only with
	// the code UnauthorizedOperation, or if Where contains DryRun.
	Action string `json:"action,omitempty"`
	// Region limits the fault to calls in that region.
	Region string `json:"region,omitempty"`
	// Account limits the fault to calls of a role in another account; with CopyRegion,
	// it makes the copies of that account fail.
	Account string `json:"account,omitempty"`
	// Where limits the fault to calls with these parameters, named as in the request:
	// {"InstanceType": "g4dn.xlarge", "Placement.AvailabilityZone": "..."}.
	Where map[string]string `json:"where,omitempty"`
	// Nth is the number of the matching call that fails, from 1; 0 is every call.
	Nth int `json:"nth,omitempty"`
	// Code, Message and Status are the error. The default is InternalError with 500.
	// The default status of another code is 400, as in AWS: 500 for
	// InsufficientInstanceCapacity, 503 for RequestLimitExceeded and SlowDown.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
	// Outage makes all requests without an answer for a duration, such as "40s":
	// those to Service in Region, or all. They return Unavailable with 503 or, if
	// Drop is set, their connections are closed. "0s" ends all outages.
	Outage  string `json:"outage,omitempty"`
	Service string `json:"service,omitempty"`
	Drop    bool   `json:"drop,omitempty"`
	// ExpiredToken is a session token that has expired; "*" is every token, and none.
	ExpiredToken string `json:"expired_token,omitempty"`
	// CopyRegion makes later copies to a region end in State, "failed": the first
	// Times copies, or all if Times is 0. An empty State resets it.
	CopyRegion string `json:"copy_region,omitempty"`
	State      string `json:"state,omitempty"`
	Times      int    `json:"times,omitempty"`
	// CopyTakes is the duration of copies to CopyRegion, such as "10m"; without
	// State they succeed.
	CopyTakes string `json:"copy_takes,omitempty"`
	// ImageRegion makes later images that CreateImage creates in a region end in
	// State, "failed": the first Times images, or all if Times is 0. An empty State
	// resets it.
	ImageRegion string `json:"image_region,omitempty"`
	// SnapshotDelay is how much later each further snapshot of an image in Region
	// is found and listed than the one before, such as "5s".
	SnapshotDelay string `json:"snapshot_delay,omitempty"`
	// PageSize is the number of resources in each page of EC2's lists in Region
	// that request no number; the first page is empty, which EC2 may return.
	PageSize int `json:"page_size,omitempty"`
	// StackRegion and StackAccount make later stack changes there end in State,
	// "failed": the first Times changes, or all if Times is 0. An empty State
	// resets it. The default message of an account is that it is not enabled for
	// stack sets.
	StackRegion  string `json:"stack_region,omitempty"`
	StackAccount string `json:"stack_account,omitempty"`
	// LaunchEnds makes EC2 accept later launches in Region, and then end them before
	// the instance runs, for the reason of this code, such as
	// Server.InsufficientInstanceCapacity: the first Times launches, or all if Times
	// is 0. Where limits them by parameters of RunInstances.
	LaunchEnds string `json:"launch_ends,omitempty"`
	// Reclaim interrupts the spot instance of this id in Region, after Notice, such as
	// "2m", in the instance's metadata, or at once without it; "*" is every spot
	// instance. Rebalance recommends a rebalance in the metadata of such an instance.
	Reclaim   string `json:"reclaim,omitempty"`
	Notice    string `json:"notice,omitempty"`
	Rebalance string `json:"rebalance,omitempty"`
	// Quota is the code of a quota, such as L-DB2E81BA, that Service Quotas reports
	// as Value in Region. It does not limit launches.
	Quota string  `json:"quota,omitempty"`
	Value float64 `json:"value,omitempty"`
}

// faults contains the injected faults of calls.
type faults struct {
	mu      sync.Mutex
	list    []*injected
	outages []outage
	expired []string // session tokens
}

type injected struct {
	Fault
	seen int
}

// AddFault injects a fault. An invalid duration is ignored.
func (s *Server) AddFault(f Fault) {
	if f.CopyRegion != "" {
		takes, _ := time.ParseDuration(f.CopyTakes)
		copies := s.ec2
		if f.Account != "" {
			copies = s.other(f.Account).ec2
		}
		copies.EndCopies(f.CopyRegion, ec2.ImageEnd{State: f.State, Reason: f.Message, Takes: takes, Times: f.Times})
		return
	}
	if f.ImageRegion != "" {
		s.ec2.EndImages(f.ImageRegion, ec2.ImageEnd{State: f.State, Reason: f.Message, Times: f.Times})
		return
	}
	if f.SnapshotDelay != "" {
		delay, _ := time.ParseDuration(f.SnapshotDelay)
		s.ec2.DelaySnapshots(f.Region, delay)
		return
	}
	if f.PageSize > 0 {
		s.ec2.Paginate(f.Region, f.PageSize)
		return
	}
	if f.StackRegion != "" || f.StackAccount != "" {
		s.stacks.EndStacks(cloudformation.StackEnd{Region: f.StackRegion, Account: f.StackAccount, Failed: f.State != "", Reason: f.Message, Times: f.Times})
		return
	}
	if f.LaunchEnds != "" {
		s.ec2.EndLaunches(f.Region, ec2.LaunchEnd{Code: f.LaunchEnds, Message: f.Message, Where: f.Where, Times: f.Times})
		return
	}
	if f.Reclaim != "" {
		notice, _ := time.ParseDuration(f.Notice)
		s.ec2.Reclaim(f.Region, f.Reclaim, notice)
		return
	}
	if f.Rebalance != "" {
		s.ec2.Rebalance(f.Region, f.Rebalance)
		return
	}
	if f.Quota != "" {
		s.quotas.Set(f.Region, f.Quota, f.Value)
		return
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	switch {
	case f.Outage != "":
		s.faults.startOutage(f, s.cfg.Clock.Now())
		return
	case f.ExpiredToken != "":
		s.faults.expired = append(s.faults.expired, f.ExpiredToken)
		return
	}
	s.faults.list = append(s.faults.list, &injected{Fault: f})
}

// ClearFaults removes all faults of calls, outages and expired tokens.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list, s.faults.outages, s.faults.expired = nil, nil, nil
}

// next returns the injected error of this call, if any.
func (l *faults) next(account, region, action string, p query.Params) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var match *injected
	for _, f := range l.list {
		if f.Action != "" && f.Action != action || f.Region != "" && f.Region != region || f.Account != "" && f.Account != account || !f.matches(p) {
			continue
		}
		f.seen++
		if match == nil && (f.Nth == 0 || f.Nth == f.seen) {
			match = f
		}
	}
	if match == nil {
		return nil
	}
	return match.asError()
}

// matches reports whether the parameters match. A dry run only checks permissions, so
// it fails only with UnauthorizedOperation or if Where contains DryRun.
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
		e.Message = "The rehearsal injected this error."
	}
	return e
}

// calls counts the calls by region and action.
type calls struct {
	mu   sync.Mutex
	made map[string]map[string]int
}

// dryRun is appended to the action name of a dry run.
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

// Calls returns the number of calls by region and action. Dry runs are counted as a
// separate action.
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
