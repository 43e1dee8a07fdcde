// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
)

// Operation statuses.
const (
	queued    = "QUEUED"
	running   = "RUNNING"
	stopping  = "STOPPING"
	stopped   = "STOPPED"
	succeeded = "SUCCEEDED"
	failure   = "FAILED"
	pending   = "PENDING" // status of a result
	cancelled = "CANCELLED"
)

// operation changes some stacks, region by region.
type operation struct {
	set         *stackSet
	id, action  string // CREATE, UPDATE or DELETE
	status      string
	retain      bool
	preferences preferences
	created     time.Time
	ended       time.Time
	template    *template.Template // as of the request
	parameters  map[string]string
	generation  int
	regions     []*regionRun
}

// regionRun is the part of an operation in one region.
type regionRun struct {
	operation *operation
	name      string
	results   []*result
	status    string
	clock     time.Time // time up to which it has run
	failures  int
}

// result is the outcome of the operation for one stack.
type result struct {
	on             *instance
	status, reason string
	failReason     string // injected failure reason, if any
	endsAt         time.Time
}

func (o *operation) done() bool {
	return o.status == succeeded || o.status == failure || o.status == stopped
}

// busy reports whether an operation is running or queued.
func (set *stackSet) busy() bool {
	return slices.ContainsFunc(set.operations, func(o *operation) bool { return !o.done() })
}

func inProgress() error {
	return failed(409, "OperationInProgressException", "Another Operation on StackSet is in progress. Operations can be queued with managed execution.")
}

// operation creates an operation, if the set accepts one now.
func (c *call) operation(set *stackSet, action string) (*operation, error) {
	id := c.p.Get("OperationId")
	if id == "" {
		id = c.s.uuid()
	}
	switch {
	case set.status == "DELETED":
		return nil, failed(404, "StackSetNotFoundException", "StackSet %s not found", set.name)
	case set.operation(id) != nil:
		return nil, failed(409, "OperationIdAlreadyExistsException", "Operation ID %s already exists", id)
	case set.busy() && !set.managed:
		return nil, inProgress()
	}
	return &operation{set: set, id: id, action: action, status: queued, created: c.now}, nil
}

func (set *stackSet) operation(id string) *operation {
	for _, o := range set.operations {
		if o.id == id {
			return o
		}
	}
	return nil
}

// enqueue adds an operation on some instances to the queue.
func (set *stackSet) enqueue(o *operation, list []*instance) {
	o.template, o.parameters, o.generation = set.template, set.parameters, set.generation
	byRegion := map[string]*regionRun{}
	for _, i := range list {
		r := byRegion[i.region]
		if r == nil {
			r = &regionRun{operation: o, name: i.region, status: pending}
			byRegion[i.region] = r
			o.regions = append(o.regions, r)
		}
		r.results = append(r.results, &result{on: i, status: pending})
		i.lastOperation, i.detailed = o.id, pending
	}
	place := func(r *regionRun) int {
		if o.preferences.Order == nil {
			return 0
		}
		return slices.Index(o.preferences.Order.Items, r.name)
	}
	slices.SortFunc(o.regions, func(a, b *regionRun) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.name, b.name))
	})
	set.operations = append(set.operations, o)
}

// settle runs the operations until now, one after the other. Managed execution also
// runs conflicting operations in sequence.
func (set *stackSet) settle(s *Service, now time.Time) {
	var free time.Time // end of the previous operation
	for _, o := range set.operations {
		if o.status == queued {
			o.status = running
			for _, r := range o.regions {
				r.clock = later(free, o.created)
			}
		}
		if !o.done() {
			o.advance(s, later(free, o.created), now)
		}
		if !o.done() {
			return
		}
		free = o.ended
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// advance runs the operation from began until now.
func (o *operation) advance(s *Service, began, now time.Time) {
	end, broken := began, false
	for _, r := range o.regions {
		sequential := o.preferences.Concurrency == "SEQUENTIAL"
		if r.status == pending && sequential {
			r.clock = end
		}
		if r.status == pending && (sequential && broken || o.status == stopping) {
			r.cancel("Cancelled since failure tolerance has exceeded")
			r.status = cancelled
		}
		if r.status == pending || r.status == running {
			r.advance(s, now)
		}
		if r.status == running {
			if sequential {
				return
			}
			continue
		}
		end, broken = later(end, r.clock), broken || r.status == failure
	}
	if slices.ContainsFunc(o.regions, func(r *regionRun) bool { return r.status == running }) {
		return
	}
	o.ended = end
	switch {
	case o.status == stopping:
		o.status = stopped
	case broken:
		o.status = failure
	default:
		o.status = succeeded
	}
}

// advance runs the operation in the region until now.
func (r *regionRun) advance(s *Service, now time.Time) {
	r.status = running
	for {
		tolerance := r.operation.preferences.tolerance(len(r.results))
		if r.failures > tolerance {
			r.cancel("Cancelled since failure tolerance has exceeded")
		} else if r.operation.status == stopping {
			r.cancel("Cancelled since the operation was stopped")
		}
		if r.start(s) == 0 {
			r.status = succeeded
			if r.failures > tolerance {
				r.status = failure
			}
			return
		}
		next, end := r.ended(s, now)
		if next == nil {
			return
		}
		r.clock = end
		r.finish(next)
	}
}

// start starts as many results as the preferences allow. It returns how many run.
func (r *regionRun) start(s *Service) (count int) {
	for _, v := range r.results {
		if v.status == running {
			count++
		}
	}
	for _, v := range r.results {
		if v.status == pending && count < r.operation.preferences.concurrency(len(r.results), r.failures) {
			v.status, v.on.detailed, v.endsAt = running, running, r.clock.Add(s.cfg.Pace.Stack)
			v.failReason = s.failure(r.operation.set, v.on)
			if v.on.status == inoperable && r.operation.action != "DELETE" {
				v.failReason = fmt.Sprintf("The stack of account %s in %s is INOPERABLE", v.on.account, v.on.region)
			}
			if v.failReason == "" {
				v.failReason = v.on.begin(s, r.operation, r.clock)
			}
			count++
		}
	}
	return count
}

// ended returns the running result that ended first by now, or nil, and when it ended.
func (r *regionRun) ended(s *Service, now time.Time) (first *result, at time.Time) {
	for _, v := range r.results {
		if v.status != running || v.endsAt.After(now) {
			continue
		}
		end := v.endsAt
		if v.failReason == "" {
			st, exists := v.on.stack(s)
			if exists && st.Busy {
				continue
			}
			if exists {
				end = later(end, st.Ended)
			}
			v.failReason = v.on.failure(st, r.operation)
		}
		if first == nil || end.Before(at) {
			first, at = v, end
		}
	}
	return first, at
}

// finish completes one result.
func (r *regionRun) finish(v *result) {
	i, o := v.on, r.operation
	v.reason, i.reason = v.failReason, v.failReason
	if v.failReason != "" {
		r.failures++
		v.status, i.detailed = failure, failure
		if i.status != inoperable {
			i.status = outdated
		}
		if o.action == "DELETE" {
			i.status, i.detailed = inoperable, inoperable
		}
		return
	}
	v.status, i.detailed = succeeded, succeeded
	if o.action == "DELETE" {
		o.set.instances = slices.DeleteFunc(o.set.instances, func(other *instance) bool { return other == i })
		return
	}
	i.apply(o, r.clock)
	if o.generation == o.set.generation { // otherwise a queued operation has changed the set
		i.status = current
	}
}

// cancel cancels pending results.
func (r *regionRun) cancel(why string) {
	for _, v := range r.results {
		if v.status == pending {
			v.status, v.reason = cancelled, why
			v.on.detailed, v.on.reason = cancelled, why
			if v.on.status == current {
				v.on.status = outdated
			}
		}
	}
}
