// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

var accounts = []string{"111111111111", "222222222222"}

func setSpec(regions ...string) publish.Spec {
	s := spec(regions...)
	s.SSM = nil
	s.StackSet = &publish.StackSet{
		Name: "mining", Region: "us-east-1", Regions: regions, Accounts: accounts, CanaryRegion: "eu-central-1", OnFailure: publish.Restore, Timeout: 2 * time.Second,
	}
	return s
}

// A set is made, the canary region's stacks first; updated; and left alone where
// nothing has changed.
func TestRollOut(t *testing.T) {
	w, f := newFake(t, three...)
	f.operationTakes = 3
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	if got := operations(f); got != "CreateStackInstances eu-central-1; CreateStackInstances ap-south-1,us-east-1" {
		t.Errorf("made by %s", got)
	}
	f.set.operations = nil
	w.must(w.publish(s, template(2, three...)))
	if got := operations(f); got != "UpdateStackSet eu-central-1; UpdateStackSet ap-south-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	f.set.operations = nil
	w.must(w.publish(s, template(2, three...)))
	if got := operations(f); got != "" {
		t.Errorf("nothing has changed, and there was %s", got)
	}
	for _, i := range f.set.instances {
		if i.status != "CURRENT" {
			t.Errorf("%+v", i)
		}
	}
	// A new region and a new account: only what is missing is made.
	f.buckets[bucketOf("sa-east-1")] = "sa-east-1"
	more := setSpec(append(slices.Clone(three), "sa-east-1")...)
	more.StackSet.Accounts = append(slices.Clone(accounts), "333333333333")
	w.must(w.publish(more, template(2, three...)))
	if got := operations(f); got != "CreateStackInstances eu-central-1; CreateStackInstances sa-east-1; CreateStackInstances ap-south-1,us-east-1" {
		t.Errorf("made by %s", got)
	}
	if len(f.set.instances) != 12 {
		t.Errorf("%d instances", len(f.set.instances))
	}
}

// CloudFormation answers in XML, where a line ends in LF alone: a template with
// CRLF is not another one for that.
func TestLineEnds(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	body := bytes.ReplaceAll(template(1, three...), []byte("\n"), []byte("\r\n"))
	w.must(w.publish(s, body))
	f.set.operations = nil
	w.must(w.publish(s, body))
	if got := operations(f); got != "" {
		t.Errorf("nothing has changed, and there was %s", got)
	}
}

// Organizational units are named, and no account.
func TestOrganizationalUnits(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	s.StackSet.Accounts, s.StackSet.PermissionModel = nil, "SERVICE_MANAGED"
	s.StackSet.OrganizationalUnits = []string{"ou-ab12-11111111"}
	w.must(w.publish(s, template(1, three...)))
	w.must(w.publish(s, template(2, three...)))
	s.StackSet.OrganizationalUnits = append(s.StackSet.OrganizationalUnits, "ou-ab12-22222222")
	w.must(w.publish(s, template(2, three...)))
	want := "CreateStackInstances eu-central-1; CreateStackInstances ap-south-1,us-east-1; UpdateStackSet eu-central-1; UpdateStackSet ap-south-1,us-east-1; " +
		"CreateStackInstances eu-central-1; CreateStackInstances ap-south-1,us-east-1"
	if got := operations(f); got != want || len(f.set.instances) != 6 {
		t.Errorf("%d instances, by %s", len(f.set.instances), got)
	}
}

// Should a later stage make the stacks of an earlier one OUTDATED, all are
// updated once more, together.
func TestSettle(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	f.set.operations, f.set.marksAll = nil, true
	w.must(w.publish(s, template(2, three...)))
	if got := operations(f); got != "UpdateStackSet eu-central-1; UpdateStackSet ap-south-1,us-east-1; UpdateStackSet ap-south-1,eu-central-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	for _, i := range f.set.instances {
		if i.status != "CURRENT" {
			t.Errorf("%+v", i)
		}
	}
}

// A run that was killed after the set had got the new template still gives it
// the old one back, if it fails when it is run again; and does not once all is
// done.
func TestRestoreAfterKill(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	w.wire.reset(nil)
	w.wire.failWith(func(c call) *failure {
		if c.action == "UpdateStackSet" {
			w.wire.kill = kill{len(w.wire.calls) + 1, false} // after this one, which is carried out
		}
		return nil
	})
	if err := w.publish(s, template(2, three...)); err == nil || !strings.Contains(f.set.template, "number 2") {
		t.Fatalf("error %v, and the set has %s", err, f.set.template)
	}
	w.wire.failWith(nil)
	w.wire.killAt(0, false)
	f.set.bad, f.set.onlyNew = "eu-central-1", true
	err := w.publish(s, template(2, three...))
	if err == nil || f.set.template != string(template(1, three...)) {
		t.Errorf("error %v, and the set has %s", err, f.set.template)
	}

	f.set.bad = ""
	w.must(w.publish(s, template(2, three...)))
	f.set.bad, f.set.instances[0].status = "eu-central-1", "OUTDATED"
	if err := w.publish(s, template(2, three...)); err == nil || !strings.Contains(f.set.template, "number 2") {
		t.Errorf("all was done: error %v, and the set has %s", err, f.set.template)
	}
}

// operations are those of the set, with their regions.
func operations(f *fake) string {
	var all []string
	for _, o := range f.set.operations {
		var regions []string
		for _, t := range o.targets {
			regions = append(regions, t.region)
		}
		slices.Sort(regions)
		all = append(all, o.action+" "+strings.Join(slices.Compact(regions), ","))
	}
	return strings.Join(all, "; ")
}

// A failing canary keeps every other stack from the new template, and the set
// gets the old one back where that is asked for. The account is named.
func TestCanaryFails(t *testing.T) {
	for _, onFailure := range []string{publish.Restore, publish.Keep} {
		w, f := newFake(t, three...)
		s := setSpec(three...)
		s.StackSet.OnFailure = onFailure
		w.must(w.publish(s, template(1, three...)))
		f.set.bad, f.set.onlyNew, f.set.updated = "eu-central-1", true, map[string]int{}
		f.set.reason = "Account 222222222222 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'."
		f.set.operations = nil
		err := w.publish(s, template(2, three...))
		if err == nil || !strings.Contains(err.Error(), "the account 222222222222 is not enabled for stack sets") {
			t.Errorf("%s: %v", onFailure, err)
		}
		switch got := operations(f); {
		case onFailure == publish.Keep:
			if got != "UpdateStackSet eu-central-1" || !strings.Contains(f.set.template, "number 2") {
				t.Errorf("keep: %s, and the set has %s", got, f.set.template)
			}
		case got != "UpdateStackSet eu-central-1; UpdateStackSet ap-south-1,eu-central-1,us-east-1" || f.set.template != string(template(1, three...)):
			t.Errorf("rollback: %s, and the set has %s", got, f.set.template)
		default:
			for _, i := range f.set.instances {
				if i.status != "CURRENT" {
					t.Errorf("rollback: %+v", i)
				}
			}
		}
	}
}

// Another operation under way is waited for, with a line, and not for ever;
// when it does not end nothing has changed.
func TestOperationInProgress(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	other := &fakeOperation{id: "other", action: "DELETE", status: "RUNNING", left: 5}
	f.set.operations = append(f.set.operations, other)
	w.must(w.publish(s, template(2, three...)))
	if !w.hasSaid("waiting for operation other (DELETE), which is RUNNING") {
		t.Errorf("said %q", w.said)
	}
	s.StackSet.Timeout = 20 * time.Millisecond
	other.status, other.left = "RUNNING", 1000000
	f.set.operations = []*fakeOperation{other}
	err := w.publish(s, template(3, three...))
	if err == nil || !strings.Contains(err.Error(), "operation other is still under way") {
		t.Errorf("%v", err)
	}
	if latest := w.latest(s); latest[w0(t, s, 2)+" number 2"] != 3 {
		t.Errorf("latest has changed: %v", latest)
	}
}

// One that begins after that is waited for too, with bounded patience.
func TestOperationInProgressException(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	s.StackSet.ManagedExecution = true // so that nothing is asked before
	other := &fakeOperation{id: "other", action: "UPDATE", status: "RUNNING", left: 5}
	f.set.operations = append(f.set.operations, other)
	w.must(w.publish(s, template(2, three...)))
	if !w.hasSaid("another operation is in progress; trying again for up to 2s") {
		t.Errorf("said %q", w.said)
	}
	s.StackSet.Timeout = 20 * time.Millisecond
	other.status, other.left = "RUNNING", 1000000
	f.set.operations = []*fakeOperation{other}
	if err := w.publish(s, template(3, three...)); err == nil || !strings.Contains(err.Error(), "another operation is still in progress after 20ms: run this again") {
		t.Errorf("%v", err)
	}
}

// A parameter that the template takes, and nobody gives, is told before
// anything is latest; one that is given stays, and is not in the bucket.
func TestStackSetParameters(t *testing.T) {
	w, f := newFake(t, three...)
	s := setSpec(three...)
	body := append([]byte("Parameters:\n  Wallet: {Type: String}\n"), template(1, three...)...)
	if err := w.publish(s, body); err == nil || !strings.Contains(err.Error(), "parameter Wallet has no default") || len(w.latest(s)) != 1 || w.latest(s)["NoSuchKey"] != 3 {
		t.Errorf("%v; latest %v", err, w.latest(s))
	}
	s.StackSet.Parameters = map[string]string{"Wallet": "0xsecret"}
	w.must(w.publish(s, body))
	f.set.parameters["Wallet"] = "0xsecret"
	s.StackSet.Parameters = nil
	w.must(w.publish(s, append(body, "# another\n"...)))
	if f.set.parameters["Wallet"] != "0xsecret" {
		t.Errorf("the set's parameters are %v", f.set.parameters)
	}
	for key, o := range f.objects {
		if strings.Contains(string(o.body), "0xsecret") {
			t.Errorf("%s has the parameter", key)
		}
	}
}

// A roll-out that is killed at any call is gone on with.
func TestRollOutKilledAtEveryCall(t *testing.T) {
	s := setSpec("us-east-1", "eu-central-1")
	regions := s.S3.Regions
	for name, first := range map[string]bool{"make": true, "update": false} {
		t.Run(name, func(t *testing.T) {
			begin := func() *world {
				w, f := newFake(t, regions...)
				f.operationTakes = 1
				if !first {
					w.must(w.publish(s, template(1, regions...)))
				}
				w.wire.reset(nil)
				return w
			}
			do := func(w *world) error { return w.publish(s, template(2, regions...)) }
			w := begin()
			w.must(do(w))
			calls := w.wire.reset(nil)
			want := w.seen(s, "none")
			if !strings.Contains(want, "Description: number 2") || strings.Count(want, ": CURRENT") != 4 {
				t.Fatalf("not done:\n%s", want)
			}
			for k := range calls {
				for _, way := range ways {
					w := begin()
					w.dieAt(k+1, way)
					if err := do(w); err == nil {
						t.Fatalf("%s at call %d: no error", way, k+1)
					}
					w.live()
					if err := do(w); err != nil {
						t.Fatalf("%s at call %d, of %v, run again: %v", way, k+1, calls[k], err)
					}
					if got := w.seen(s, "none"); sorted(got) != sorted(want) {
						t.Fatalf("%s at call %d, of %v, and run again, there is\n%s\nwant\n%s", way, k+1, calls[k], got, want)
					}
				}
			}
		})
	}
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return fmt.Sprint(lines)
}
