// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stack

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/resource"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// run is a change of a stack: it creates and updates resources in order, then deletes
// those that are no longer needed.
type run struct {
	verb     string // CREATE, UPDATE, ROLLBACK, UPDATE_ROLLBACK or DELETE
	began    time.Time
	order    []template.Resource
	done     map[string]bool
	busy     map[string]bool
	failed   []string // "create: A"
	before   map[string]stackResource
	obsolete []*stackResource // replaced
	ready    time.Time        // when the last resource was done
	end      time.Time        // when the resources were complete
	deleting bool
}

// advance does what is due.
func (v *stack) advance(now time.Time) {
	for v.run != nil && v.step(now) {
	}
}

// step does the next part of the change. It reports whether there may be more to do.
func (v *stack) step(now time.Time) bool {
	r := v.run
	if r.deleting {
		return v.remove(now)
	}
	if r.done == nil {
		r.done, r.busy = map[string]bool{}, map[string]bool{}
	}
	progress := false
	for _, d := range r.order {
		ready := !slices.ContainsFunc(d.Needs, func(need string) bool { return v.declared(need) && !r.done[need] })
		if r.done[d.ID] || !ready {
			continue
		}
		var err error
		if !r.busy[d.ID] {
			r.busy[d.ID] = true
			err = v.begin(now, d)
		} else {
			err = v.check(now, d)
		}
		progress = progress || err == nil
		if err != nil && !errors.Is(err, errWaiting) {
			v.fail(now, d, err)
			v.rollBack(now)
			return true
		}
	}
	if len(r.done) < len(r.order) {
		return progress
	}
	if r.ready.IsZero() {
		r.ready = now
	}
	r.end = r.ready
	if least := r.began.Add(v.service.cfg.Pace.Stack); r.verb != "UPDATE_ROLLBACK" && least.After(r.end) {
		r.end = least
	}
	if now.Before(r.end) {
		return false
	}
	outputs, err := v.scope(v.now).Outputs()
	if err != nil {
		v.run.failed = append(v.run.failed, message(err))
		v.rollBack(now)
		return true
	}
	v.outputs = outputs
	if r.verb == "CREATE" {
		v.finish(r.end, "CREATE_COMPLETE")
		return false
	}
	v.set(r.end, r.verb+"_COMPLETE_CLEANUP_IN_PROGRESS", "")
	r.deleting = true
	return true
}

// declared reports whether the template of the run has a resource.
func (v *stack) declared(id string) bool {
	return slices.ContainsFunc(v.run.order, func(d template.Resource) bool { return d.ID == id })
}

// errWaiting says that a resource is not ready yet.
var errWaiting = errors.New("waiting")

// begin creates or updates a resource, if it has to change.
func (v *stack) begin(now time.Time, d template.Resource) error {
	before, back := v.run.before[d.ID]
	back = back && v.run.verb == "UPDATE_ROLLBACK"
	properties := before.properties
	if !back {
		value, err := v.scope(v.now).Evaluate(orEmpty(d.Properties))
		if err != nil {
			return v.refused(now, d, err)
		}
		properties, _ = value.(map[string]any)
	}
	r := v.existing(d.ID)
	switch {
	case r == nil:
		r = &stackResource{Resource: d, properties: properties}
		v.resources = append(v.resources, r)
		v.mark(now, r, "CREATE_IN_PROGRESS", "")
		return v.create(now, r)
	case reflect.DeepEqual(r.properties, properties) && r.rollout == nil && (!back || r.physical == before.physical):
		r.Resource = d
		v.run.done[d.ID] = true
		return nil
	}
	q := v.request(now, r)
	q.Properties, r.Resource = properties, d
	v.mark(now, r, "UPDATE_IN_PROGRESS", "")
	switch {
	case back && r.physical != before.physical: // return to the resource that was replaced
		v.run.obsolete = append(v.run.obsolete, &stackResource{Resource: d, physical: r.physical, properties: r.properties, created: r.created})
		v.run.obsolete = slices.DeleteFunc(v.run.obsolete, func(o *stackResource) bool { return o.physical == before.physical })
		r.physical, r.properties, r.wait, r.rollout = before.physical, before.properties, nil, nil
		return nil
	case resource.Of(d.Type).Replaced(q) || v.replaces(q, d):
		v.mark(now, r, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")
		v.run.obsolete = append(v.run.obsolete, &stackResource{Resource: d, physical: r.physical, properties: r.properties, created: r.created})
		r.properties, r.token, r.signals = properties, v.service.uuid(), nil
		return v.create(now, r)
	case d.Type == resource.Group:
		return v.updateGroup(now, r, q)
	}
	r.properties = properties
	return refusal(d.Type, resource.Of(d.Type).Update(q))
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// refused notes a resource whose properties cannot be evaluated.
func (v *stack) refused(now time.Time, d template.Resource, err error) error {
	if v.existing(d.ID) == nil {
		r := &stackResource{Resource: d}
		v.resources = append(v.resources, r)
		v.mark(now, r, "CREATE_IN_PROGRESS", "")
	} else {
		v.mark(now, v.existing(d.ID), "UPDATE_IN_PROGRESS", "")
	}
	return err
}

// create creates a resource.
func (v *stack) create(now time.Time, r *stackResource) error {
	id, err := resource.Of(r.Type).Create(v.request(now, r))
	if err != nil {
		return refusal(r.Type, err)
	}
	r.physical, r.created = id, now
	v.note(now, r, r.status, "Resource creation Initiated")
	r.wait, err = v.creationWait(now, r)
	return err
}

// check completes a resource that is ready.
func (v *stack) check(now time.Time, d template.Resource) error {
	r := v.existing(d.ID)
	if ready := resource.Of(d.Type).Ready; ready != nil {
		ok, err := ready(v.request(now, r))
		if err != nil {
			return refusal(d.Type, err)
		}
		if !ok {
			return errWaiting
		}
	}
	if r.wait != nil {
		if err := v.await(now, r); err != nil {
			return err
		}
	}
	if r.rollout != nil {
		if err := v.roll(now, r); err != nil {
			return err
		}
	}
	verb, _, _ := strings.Cut(r.status, "_")
	v.mark(now, r, verb+"_COMPLETE", "")
	v.run.done[d.ID] = true
	return nil
}

// fail marks a resource that failed, and those that the failure cancels.
func (v *stack) fail(now time.Time, d template.Resource, err error) {
	for _, o := range v.resources {
		verb, _, _ := strings.Cut(o.status, "_")
		switch {
		case o.ID == d.ID && o.status != DeleteComplete:
			v.mark(now, o, verb+"_FAILED", message(err))
			v.run.failed = append(v.run.failed, strings.ToLower(verb)+": "+o.ID)
		case strings.HasSuffix(o.status, "_IN_PROGRESS"):
			what := "creation"
			if verb == "UPDATE" {
				what = "update"
			}
			v.mark(now, o, verb+"_FAILED", "Resource "+what+cancelled)
			v.run.failed = append(v.run.failed, strings.ToLower(verb)+": "+o.ID)
		}
	}
}

// rollBack begins the roll back of a failed change.
func (v *stack) rollBack(now time.Time) {
	r := v.run
	var reasons []string
	for _, verb := range []string{"create", "update"} {
		var names []string
		for _, f := range r.failed {
			if name, ok := strings.CutPrefix(f, verb+": "); ok {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			reasons = append(reasons, fmt.Sprintf("The following resource(s) failed to %s: %s. ", verb, byName(names)))
		}
	}
	if len(reasons) == 0 {
		reasons = r.failed // of the outputs
	}
	reason := strings.Join(reasons, "")
	switch {
	case r.verb == "UPDATE":
		v.set(now, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
		v.now = v.former
		order, err := v.scope(v.now).Resources()
		if err != nil { // it was accepted before
			v.finish(now, "UPDATE_ROLLBACK_FAILED")
			return
		}
		v.run = &run{verb: "UPDATE_ROLLBACK", began: now, order: order, before: r.before, obsolete: r.obsolete}
	case r.verb == "UPDATE_ROLLBACK":
		v.set(now, "UPDATE_ROLLBACK_FAILED", reason)
		v.run = nil
	case v.onFailure == "DO_NOTHING":
		v.set(now, "CREATE_FAILED", reason)
		v.run = nil
	case v.onFailure == "DELETE":
		v.set(now, "DELETE_IN_PROGRESS", strings.TrimSpace(reason)+" Delete requested by user.")
		v.run = &run{verb: "DELETE", began: now, deleting: true}
	default:
		v.set(now, "ROLLBACK_IN_PROGRESS", strings.TrimSpace(reason)+" Rollback requested by user.")
		v.run = &run{verb: "ROLLBACK", began: now, deleting: true}
	}
}

// remove deletes the resources that are no longer needed: each after those that need it.
func (v *stack) remove(now time.Time) bool {
	r := v.run
	all := slices.Clone(r.obsolete)
	for _, o := range v.resources {
		if o.status != DeleteComplete && !v.declared(o.ID) {
			all = append(all, o)
		}
	}
	left := 0
	for _, o := range slices.Backward(all) {
		if slices.ContainsFunc(all, func(other *stackResource) bool {
			return other != o && slices.Contains(other.Needs, o.ID) && other.status != DeleteComplete
		}) {
			left++
			continue
		}
		gone, err := v.removeOne(now, o)
		if err != nil && !r.end.IsZero() { // the clean-up of an update leaves it
			v.mark(now, o, "DELETE_FAILED", message(err))
			v.forget(o)
			continue
		}
		if err != nil {
			v.mark(now, o, "DELETE_FAILED", message(err))
			v.set(now, r.verb+"_FAILED", fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", o.ID))
			v.run = nil
			return false
		}
		if !gone {
			left++
		}
	}
	if left > 0 {
		return left < len(all) // dependencies may have been resolved
	}
	if len(all) == 0 && !r.end.IsZero() {
		now = r.end // there was nothing to delete
	}
	v.finish(now, r.verb+"_COMPLETE")
	return false
}

// removeOne deletes a resource and reports whether it is gone.
func (v *stack) removeOne(now time.Time, o *stackResource) (bool, error) {
	t := resource.Of(o.Type)
	if o.Retain && v.run.verb != "ROLLBACK" {
		v.mark(now, o, "DELETE_SKIPPED", "")
		v.forget(o)
		return true, nil
	}
	if o.status != "DELETE_IN_PROGRESS" {
		v.mark(now, o, "DELETE_IN_PROGRESS", "")
	}
	if o.physical != "" && t.Delete != nil {
		gone, err := t.Delete(v.request(now, o))
		if err != nil || !gone {
			return false, err
		}
	}
	v.mark(now, o, DeleteComplete, "")
	v.forget(o)
	return true, nil
}

// forget removes a resource from the stack.
func (v *stack) forget(o *stackResource) {
	o.status = DeleteComplete
	v.run.obsolete = slices.DeleteFunc(v.run.obsolete, func(other *stackResource) bool { return other == o })
}

// finish ends the change.
func (v *stack) finish(now time.Time, status string) {
	v.set(now, status, "")
	v.run, v.former = nil, nil
}

// refusal adds the service to the error of a request for a resource, as CloudFormation
// does.
func refusal(kind string, err error) error {
	e := new(query.Error)
	if !errors.As(err, &e) {
		return err
	}
	service := strings.Split(kind, "::")[1]
	return fmt.Errorf("%s (Service: %s, Status Code: %d)", e.Message, service, e.HTTPStatus())
}

// message returns the text of an error without its code.
func message(err error) string {
	if e := new(query.Error); errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
