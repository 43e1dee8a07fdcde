// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The states of an operation.
const (
	queued    = "QUEUED"
	running   = "RUNNING"
	stopping  = "STOPPING"
	stopped   = "STOPPED"
	succeeded = "SUCCEEDED"
	failure   = "FAILED"
	pending   = "PENDING" // of one result
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
	template    *template // as they were when it was asked for
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
	clock     time.Time // until when it is carried out
	failures  int
}

// result is what becomes of one stack.
type result struct {
	on             *instance
	status, reason string
	fails          string // why it is to
	ends           time.Time
}

func (o *operation) over() bool {
	return o.status == succeeded || o.status == failure || o.status == stopped
}

// busy says that an operation is under way or waits.
func (set *stackSet) busy() bool {
	return slices.ContainsFunc(set.operations, func(o *operation) bool { return !o.over() })
}

func inProgress() error {
	return failed(409, "OperationInProgressException", "Another Operation on StackSet is in progress. Operations can be queued with managed execution.")
}

// operation makes one that has not begun, if one may begin.
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

// begin puts an operation on some instances at the end of the queue.
func (set *stackSet) begin(c *call, o *operation, list []*instance) {
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

// settle carries the operations out until now, one after the other, as managed
// execution does with those that conflict.
func (set *stackSet) settle(s *Service, now time.Time) {
	var free time.Time // since when nothing is under way
	for _, o := range set.operations {
		if o.status == queued {
			o.status = running
			for _, r := range o.regions {
				r.clock = later(free, o.created)
			}
		}
		if !o.over() {
			o.advance(s, later(free, o.created), now)
		}
		if !o.over() {
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

// advance carries the operation out, from its beginning until now.
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

// advance carries the operation out in the region until now.
func (r *regionRun) advance(s *Service, now time.Time) {
	r.status = running
	for {
		tolerance := r.operation.preferences.tolerance(len(r.results))
		if r.failures > tolerance {
			r.cancel("Cancelled since failure tolerance has exceeded")
		} else if r.operation.status == stopping {
			r.cancel("Cancelled since the operation was stopped")
		}
		next := r.start(s)
		if next == nil {
			r.status = succeeded
			if r.failures > tolerance {
				r.status = failure
			}
			return
		}
		if next.ends.After(now) {
			return
		}
		r.clock = next.ends
		r.finish(s, next)
	}
}

// start begins as many results as may be under way, and returns the one that
// ends first; nil if none is.
func (r *regionRun) start(s *Service) *result {
	var first *result
	under := 0
	consider := func(v *result) {
		under++
		if first == nil || v.ends.Before(first.ends) {
			first = v
		}
	}
	for _, v := range r.results {
		if v.status == running {
			consider(v)
		}
	}
	for _, v := range r.results {
		if v.status == pending && under < r.operation.preferences.concurrency(len(r.results), r.failures) {
			v.status, v.on.detailed, v.ends = running, running, r.clock.Add(s.cfg.Pace.Stack)
			v.fails = s.failure(r.operation.set, v.on)
			if v.on.status == inoperable && r.operation.action != "DELETE" {
				v.fails = fmt.Sprintf("The stack of account %s in %s is INOPERABLE", v.on.account, v.on.region)
			}
			consider(v)
		}
	}
	return first
}

// finish ends one result.
func (r *regionRun) finish(s *Service, v *result) {
	i, o := v.on, r.operation
	v.reason, i.reason = v.fails, v.fails
	if v.fails != "" {
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
	i.apply(s, o, r.clock)
	if o.generation == o.set.generation { // else one that waits has changed the set
		i.status = current
	}
}

// cancel ends what has not begun.
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
