// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// Calls are linear in the regions: 5 of S3 each, and 2 more for the first one
// (its record is read, and the seal written); of SSM 6 each, for two parameters
// that are there at the first look.
func TestCallsAreLinear(t *testing.T) {
	for _, count := range []int{1, 10, 30} {
		regions := thirty()[:count]
		w, f := newFake(t, regions...)
		f.looks = 0
		s := spec(regions...)
		w.must(w.publish(s, template(1, regions...)))
		w.wire.reset(nil)
		w.must(w.publish(s, template(2, regions...)))
		byService := map[string]int{}
		for _, c := range w.wire.reset(nil) {
			byService[c.service]++
		}
		if byService["s3"] != 5*count+2 || byService["ssm"] != 6*count {
			t.Errorf("%d regions: %v, want %d of s3 and %d of ssm", count, byService, 5*count+2, 6*count)
		}
	}
}

// Thirty regions take about as long as one: every step does all at once.
func TestWallTime(t *testing.T) {
	took := func(regions []string) time.Duration {
		w, f := newFake(t, regions...)
		f.looks, f.latency = 0, 50*time.Millisecond
		plan := w.plan(spec(regions...), template(1, regions...))
		start := time.Now()
		w.must(w.publisher().Publish(t.Context(), plan))
		return time.Since(start)
	}
	one, all := took(thirty()[:1]), took(thirty())
	t.Logf("1 region %s, 30 regions %s, %.2f times", one, all, float64(all)/float64(one))
	if all > 2*one { // 1.5 is the aim; the rest is for a machine that does something else too
		t.Errorf("30 regions take %s, one takes %s", all, one)
	}
}

// TestScale counts the calls of one template in 34 regions and 50 accounts: the
// numbers of docs/scale.md. Ten templates make ten times as many.
func TestScale(t *testing.T) {
	var regions []string
	for i := range 34 {
		regions = append(regions, fmt.Sprintf("xx-made-%d", i+1))
	}
	regions[0] = "us-east-1"
	w, f := newFake(t, regions...)
	f.looks = 1
	f.operationTakes = 2 * looksPerReport // a minute at the interval of 5 seconds
	s := spec(regions...)
	s.StackSet = setSpec(regions...).StackSet
	s.StackSet.CanaryRegion, s.StackSet.Timeout = regions[1], 0
	s.StackSet.Accounts = nil
	for i := range 50 {
		s.StackSet.Accounts = append(s.StackSet.Accounts, fmt.Sprintf("%012d", i+1))
	}
	for n, name := range []string{"the first publication", "the next one", "the same again"} {
		w.wire.reset(nil)
		w.must(w.publish(s, template(min(n+1, 2), regions...)))
		all := map[string]int{} // service, action
		for _, c := range w.wire.reset(nil) {
			action := c.action
			if c.service == "s3" {
				action, _, _ = strings.Cut(action, " ")
			}
			all[c.service+" "+action]++
		}
		t.Log(name)
		for _, action := range slices.Sorted(maps.Keys(all)) {
			t.Logf("  %4d %s", all[action], action)
		}
		// What docs/scale.md says.
		want := []map[string]int{
			{"s3 PUT": 3*34 + 1, "s3 GET": 2 * 34, "ssm PutParameter": 2 * 34, "cloudformation CreateStackInstances": 2},
			{"s3 PUT": 3*34 + 1, "s3 GET": 2*34 + 1, "ssm PutParameter": 2 * 34, "ssm GetParameter": 6 * 34, "cloudformation UpdateStackSet": 2},
			{"s3 PUT": 2*34 + 1, "ssm PutParameter": 0, "cloudformation UpdateStackSet": 0, "cloudformation CreateStackInstances": 0},
		}[n]
		for action, count := range want {
			if all[action] != count {
				t.Errorf("%s: %d %s, want %d", name, all[action], action, count)
			}
		}
	}
}

// looksPerReport is that of the package.
const looksPerReport = 6
