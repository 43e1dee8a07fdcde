// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// What earlier publications contain and the last one does not stays at an old
// version; publishing and the status name it.
func TestFormer(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*publish.Spec)
		want   []string // parts of the findings that are not OK
	}{
		"nothing": {change: func(*publish.Spec) {}},
		"an S3 region": {change: func(s *publish.Spec) { s.S3.Regions = []string{"us-east-1", "eu-central-1"}; s.SSM.Regions = three }, want: []string{
			"latest ap-south-1 https://templates-ap-south-1.s3.ap-south-1.amazonaws.com/eth/templates/latest/mining.template is VERSION, publication 1"}},
		"the first S3 region": {change: func(s *publish.Spec) {
			s.S3.Regions, s.SSM.Regions = without(three, three[0]), three
		}, want: []string{"latest " + three[0] + " "}},
		"all S3 regions but one, after a new first region": {change: func(s *publish.Spec) {
			s.S3.Regions, s.SSM.Regions, s.StackSet.Regions = []string{"sa-east-1", "us-east-1"}, three, three
		}, want: []string{"latest ap-south-1 ", "latest eu-central-1 "}},
		"a parameter's region": {change: func(s *publish.Spec) { s.SSM.Regions = without(three, "us-east-1") }, want: []string{"parameter us-east-1 /ethminer/ami is " + imageIn("us-east-1", 1)}},
		"all parameters": {change: func(s *publish.Spec) { s.SSM = nil }, want: []string{
			"parameter us-east-1 /ethminer/ami is", "parameter eu-central-1 /ethminer/ami is", "parameter ap-south-1 /ethminer/ami is"}},
		"an account":    {change: func(s *publish.Spec) { s.StackSet.Accounts = accounts[:1] }, want: []string{"instances ap-south-1 mining, not configured is " + accounts[1] + " OUTDATED", "instances eu-central-1 ", "instances us-east-1 "}},
		"a region":      {change: func(s *publish.Spec) { s.StackSet.Regions = without(three, "ap-south-1") }, want: []string{"instances ap-south-1 mining, not configured is 111111111111 OUTDATED, 222222222222 OUTDATED"}},
		"the stack set": {change: func(s *publish.Spec) { s.StackSet = nil }, want: []string{"stack set us-east-1 mining is another template"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
			w.makeBucket(bucketOf("sa-east-1"), "sa-east-1")
			all := append([]string{"sa-east-1"}, three...)
			s := setSpec(three...)
			s.SSM, s.StackSet.CanaryRegion = spec(three...).SSM, ""
			w.must(w.publish(s, template(1, all...)))
			test.change(&s)
			w.must(w.publish(s, template(2, all...)))
			w.must(w.publish(s, template(3, all...))) // the record keeps them
			plan := w.plan(s, template(3, all...))
			state, err := w.publisher().State(t.Context(), plan.Source())
			w.must(err)
			findings, err := w.publisher().Check(t.Context(), state)
			w.must(err)
			var lines []string
			for _, f := range findings {
				if !f.OK() {
					lines = append(lines, f.Kind+" "+f.Region+" "+f.Name+" is "+f.Is)
				}
			}
			got := strings.ReplaceAll(strings.Join(lines, "\n"), w0(t, spec(all...), 1), "VERSION")
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in the status\n%s", want, got)
				}
			}
			if len(lines) != len(test.want) {
				t.Errorf("%d findings, want %d:\n%s", len(lines), len(test.want), got)
			}
			if said := w.hasSaid("not updated, because"); said != (len(test.want) > 0) {
				t.Errorf("said %q", w.said)
			}
		})
	}
}

func without(list []string, one string) (rest []string) {
	for _, s := range list {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}
