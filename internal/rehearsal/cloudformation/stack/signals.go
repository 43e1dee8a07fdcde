// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// signal is a signal that a resource received.
type signal struct {
	id      string
	success bool
	counted bool // by a batch of a rolling update
}

// creationWait is the wait for signals of a CreationPolicy.
type creationWait struct {
	count, percent int // signals, and how many of them must be successful
	until          time.Time
	noted          int // signals in the events
	group          bool
}

// Signal records a signal of SignalResource.
func (s *Service) Signal(region string, p query.Params) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	status := p.Get("Status")
	v := s.find(region, p.Get("StackName"))
	switch {
	case v == nil:
		return invalid("Stack %s does not exist", p.Get("StackName"))
	case status != "SUCCESS" && status != "FAILURE":
		return invalid("1 validation error detected: Value '%s' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [SUCCESS, FAILURE]", status)
	case v.run == nil:
		return invalid("Stack %s is in %s state and can not be signaled", v.ID, v.Status)
	}
	r := v.existing(p.Get("LogicalResourceId"))
	if r == nil {
		return invalid("Resource %s does not exist for stack %s", p.Get("LogicalResourceId"), v.Name)
	}
	for _, have := range r.signals {
		if have.id == p.Get("UniqueId") && (have.success == (status == "SUCCESS") || !have.success) {
			return invalid("Signal with ID %s for resource %s already exists. Signals may only be updated with a FAILURE status.", have.id, r.ID)
		}
	}
	r.signals = append(r.signals, signal{id: p.Get("UniqueId"), success: status == "SUCCESS"})
	v.advance(s.cfg.Clock.Now())
	return nil
}

// policyInt returns a number of a policy, or other if it is absent.
func (v *stack) policyInt(policy map[string]any, name string, other int) (int, error) {
	value, ok := policy[name]
	if !ok {
		return other, nil
	}
	value, err := v.scope(v.now).Evaluate(value)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(template.Text(value))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q, expected a number", name, template.Text(value))
	}
	return n, nil
}

// policyTime returns a duration of a policy, and its text. The pace limits it.
func (v *stack) policyTime(policy map[string]any, name, other string) (time.Duration, string, error) {
	value, err := v.scope(v.now).Evaluate(policy[name])
	if err != nil {
		return 0, "", err
	}
	text := template.Text(value)
	if text == "" {
		text = other
	}
	d, err := parseDuration(text)
	if longest := v.service.cfg.Pace.Signal; longest > 0 {
		d = min(d, longest)
	}
	return d, text, err
}

var durationForm = lazyregexp.New(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$`)

// parseDuration parses an ISO 8601 duration such as PT1H30M.
func parseDuration(text string) (time.Duration, error) {
	parts := durationForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("duration %q is not an ISO 8601 duration such as PT5M", text)
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi("0" + parts[i+1]) // digits
		d += time.Duration(n) * unit
	}
	return d, nil
}

// creationWait returns the wait that the CreationPolicy of a new resource wants.
func (v *stack) creationWait(now time.Time, r *stackResource) (*creationWait, error) {
	policy, ok := r.Creation["ResourceSignal"].(map[string]any)
	if !ok {
		return nil, nil
	}
	count, err := v.policyInt(policy, "Count", 1)
	if err != nil || count == 0 {
		return nil, err
	}
	timeout, _, err := v.policyTime(policy, "Timeout", "PT5M")
	if err != nil {
		return nil, err
	}
	of, group := r.Creation["AutoScalingCreationPolicy"].(map[string]any)
	percent, err := v.policyInt(of, "MinSuccessfulInstancesPercent", 100)
	if err != nil {
		return nil, err
	}
	return &creationWait{count: count, percent: percent, until: now.Add(timeout), group: group || strings.HasSuffix(r.Type, "AutoScalingGroup")}, nil
}

// await waits for the signals of a new resource.
func (v *stack) await(now time.Time, r *stackResource) error {
	w := r.wait
	for _, s := range r.signals[w.noted:] {
		v.note(now, r, "CREATE_IN_PROGRESS", "Received "+s.status()+" signal with UniqueId "+s.id)
	}
	w.noted = len(r.signals)
	received, failures := count(r.signals)
	needed := (w.count*w.percent + 99) / 100
	late := !now.Before(w.until)
	switch {
	case received >= needed && (received+failures >= w.count || late):
		r.wait = nil
		return nil
	case failures > w.count-needed:
		return fmt.Errorf("Received %d FAILURE signal(s) out of %d. Unable to satisfy %d%% MinSuccessfulInstancesPercent requirement", failures, w.count, w.percent) //nolint:staticcheck // CloudFormation's text
	case !late:
		return errWaiting
	case !w.group:
		return fmt.Errorf("Failed to receive %d resource signal(s) within the specified duration", w.count-received) //nolint:staticcheck // CloudFormation's text
	}
	v.note(now, r, "UPDATE_IN_PROGRESS", missed(w.count-received-failures))
	return tooFew(received, w.count, w.percent)
}

// missed is the text of signals that were not received in time.
func missed(n int) string {
	return fmt.Sprintf("Failed to receive %d resource signal(s) for the current batch.  Each resource signal timeout is counted as a FAILURE.", n)
}

// tooFew is the error of too few successful signals.
func tooFew(received, of, percent int) error {
	return fmt.Errorf("Received %d SUCCESS signal(s) out of %d.  Unable to satisfy %d%% MinSuccessfulInstancesPercent requirement", received, of, percent) //nolint:staticcheck // CloudFormation's text
}

func (s signal) status() string {
	if s.success {
		return "SUCCESS"
	}
	return "FAILURE"
}

// count returns the numbers of successful and failed signals by their ids: a failure
// counts more than a success.
func count(list []signal) (received, failures int) {
	last := map[string]bool{}
	for _, s := range list {
		last[s.id] = s.success
	}
	for _, success := range last {
		if success {
			received++
		} else {
			failures++
		}
	}
	return received, failures
}

// fresh returns the signals that no batch has counted, and counts them.
func (r *stackResource) fresh() []signal {
	var list []signal
	for i := range r.signals {
		if !r.signals[i].counted {
			r.signals[i].counted = true
			list = append(list, r.signals[i])
		}
	}
	return slices.Clip(list)
}
