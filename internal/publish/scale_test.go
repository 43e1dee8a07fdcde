// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

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
