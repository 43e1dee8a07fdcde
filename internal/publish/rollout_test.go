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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

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
	inEachWorld(t, func(t *testing.T, begin func(*testing.T, ...string) *setWorld) {
		w := begin(t, three...)
		s := setSpec(three...)
		w.must(w.publish(s, template(1, three...)))
		if got := w.operations(); got != "CREATE eu-central-1; CREATE ap-south-1,us-east-1" {
			t.Errorf("made by %s", got)
		}
		w.must(w.publish(s, template(2, three...)))
		if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1,us-east-1" {
			t.Errorf("updated by %s", got)
		}
		w.must(w.publish(s, template(2, three...)))
		if got := w.operations(); got != "" {
			t.Errorf("nothing has changed, and there was %s", got)
		}
		w.wantCurrent(6)
		// A new region and a new account: only what is missing is made.
		w.f.buckets[bucketOf("sa-east-1")] = "sa-east-1"
		more := setSpec(append(slices.Clone(three), "sa-east-1")...)
		more.StackSet.Accounts = append(slices.Clone(accounts), "333333333333")
		w.must(w.publish(more, template(2, three...)))
		if got := w.operations(); got != "CREATE eu-central-1; CREATE sa-east-1; CREATE ap-south-1,us-east-1" {
			t.Errorf("made by %s", got)
		}
		w.wantCurrent(12)
	})
}

// CloudFormation answers in XML, where a line ends in LF alone: a template with
// CRLF is not another one for that.
func TestLineEnds(t *testing.T) {
	inEachWorld(t, func(t *testing.T, begin func(*testing.T, ...string) *setWorld) {
		w := begin(t, three...)
		s := setSpec(three...)
		body := bytes.ReplaceAll(template(1, three...), []byte("\n"), []byte("\r\n"))
		w.must(w.publish(s, body))
		w.operations()
		w.must(w.publish(s, body))
		if got := w.operations(); got != "" {
			t.Errorf("nothing has changed, and there was %s", got)
		}
	})
}

// Organizational units are named, and no account.
func TestOrganizationalUnits(t *testing.T) {
	inEachWorld(t, func(t *testing.T, begin func(*testing.T, ...string) *setWorld) {
		w := begin(t, three...)
		s := setSpec(three...)
		s.StackSet.Accounts, s.StackSet.PermissionModel = nil, "SERVICE_MANAGED"
		s.StackSet.OrganizationalUnits = []string{"ou-ab12-11111111"}
		w.must(w.publish(s, template(1, three...)))
		w.must(w.publish(s, template(2, three...)))
		w.wantCurrent(len(w.instances()))
		unit := len(w.instances())
		s.StackSet.OrganizationalUnits = append(s.StackSet.OrganizationalUnits, "ou-ab12-22222222")
		w.must(w.publish(s, template(2, three...)))
		want := "CREATE eu-central-1; CREATE ap-south-1,us-east-1; UPDATE eu-central-1; UPDATE ap-south-1,us-east-1; " +
			"CREATE eu-central-1; CREATE ap-south-1,us-east-1"
		if got := w.operations(); got != want {
			t.Errorf("made by %s", got)
		}
		w.wantCurrent(2 * unit)
	})
}

// Accounts that differ from region to region are updated by as many operations
// as that takes: CloudFormation refuses one for an instance that is not there.
func TestRaggedSet(t *testing.T) {
	w := newRehearsedSet(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	fewer := func() {
		w.aside(func(api *cloudformation.Client) {
			_, err := api.DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
				StackSetName: mining, Accounts: accounts[1:], Regions: []string{"ap-south-1"}, RetainStacks: aws.Bool(false),
			})
			w.must(err)
		})
		w.idle()
		w.operations()
	}
	fewer()
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1; UPDATE us-east-1; CREATE ap-south-1" {
		t.Errorf("updated by %s", got)
	}
	w.wantCurrent(6)
	// Going back, too.
	fewer()
	w.fail("eu-central-1", accounts[1], 1)
	if err := w.publish(s, template(3, three...)); err == nil || w.template() != string(template(2, three...)) {
		t.Errorf("error %v, and the set has %s", err, w.template())
	}
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1; UPDATE eu-central-1,us-east-1" {
		t.Errorf("gone back by %s", got)
	}
	w.wantCurrent(5)
	for _, stack := range w.server.Stacks("us-east-1", "mining") {
		if stack.Body != string(template(2, three...)) {
			t.Errorf("%s %s has %s", stack.Region, stack.Account, stack.Body)
		}
	}
}

// An operation that has begun, and whose answer was lost, is not begun twice: the
// SDK's next try is told that its id is taken.
func TestLostAnswer(t *testing.T) {
	w := newRehearsedSet(t, three...)
	plain := w.config
	w.config = func(region string) aws.Config {
		c := plain(region)
		c.RetryMaxAttempts = 0
		c.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		}
		return c
	}
	s := setSpec(three...)
	lost := map[string]bool{}
	w.wire.lose = func(c call) bool {
		first := !lost[c.action]
		lost[c.action] = true
		return first && (c.action == "CreateStackInstances" || c.action == "UpdateStackSet")
	}
	w.must(w.publish(s, template(1, three...)))
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "CREATE eu-central-1; CREATE ap-south-1,us-east-1; UPDATE eu-central-1; UPDATE ap-south-1,us-east-1" {
		t.Errorf("made by %s", got)
	}
	w.wantCurrent(6)
}

// Should a later stage make the stacks of an earlier one OUTDATED, all are
// updated once more, together.
func TestSettle(t *testing.T) {
	w := newFakeSet(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	w.operations()
	w.f.set.marksAll = true
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1,us-east-1; UPDATE ap-south-1,eu-central-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	w.wantCurrent(6)
}

// changed is when each stack has changed, where the world knows.
func (w *setWorld) changed() map[string]time.Time {
	all := map[string]time.Time{}
	if w.server != nil {
		for _, stack := range w.server.Stacks("us-east-1", "mining") {
			all[stack.Region+" "+stack.Account] = stack.Changed
		}
	}
	return all
}

// Another operation under way is waited for, with a line, and not for ever;
// when it does not end nothing has changed.
func TestOperationInProgress(t *testing.T) {
	inEachWorld(t, func(t *testing.T, begin func(*testing.T, ...string) *setWorld) {
		w := begin(t, three...)
		s := setSpec(three...)
		w.must(w.publish(s, template(1, three...)))
		w.other("other", three...)
		w.must(w.publish(s, template(2, three...)))
		if !w.hasSaid("waiting for operation other (UPDATE), which is RUNNING") {
			t.Errorf("said %q", w.said)
		}
		s.StackSet.Timeout = 20 * time.Millisecond
		w.other("another", three...)
		w.stand(true)
		err := w.publish(s, template(3, three...))
		if err == nil || !strings.Contains(err.Error(), "operation another is still under way") {
			t.Errorf("%v", err)
		}
		if latest := w.latest(s); latest[w0(t, s, 2)+" number 2"] != 3 {
			t.Errorf("latest has changed: %v", latest)
		}
	})
}

// One that begins after that is waited for too, with bounded patience.
func TestOperationInProgressException(t *testing.T) {
	inEachWorld(t, func(t *testing.T, begin func(*testing.T, ...string) *setWorld) {
		w := begin(t, three...)
		s := setSpec(three...)
		w.must(w.publish(s, template(1, three...)))
		s.StackSet.ManagedExecution = true // so that nothing is asked before
		w.other("other", three...)
		w.must(w.publish(s, template(2, three...)))
		if !w.hasSaid("another operation is in progress; trying again for up to 2s") {
			t.Errorf("said %q", w.said)
		}
		s.StackSet.ManagedExecution = false // which cannot change while one is under way
		s.StackSet.Timeout = 20 * time.Millisecond
		w.wire.failWith(func(c call) *failure {
			if c.action == "UpdateStackSet" {
				return &failure{400, "OperationInProgressException", "busy"}
			}
			return nil
		})
		if err := w.publish(s, template(3, three...)); err == nil || !strings.Contains(err.Error(), "another operation is still in progress after 20ms: run this again") {
			t.Errorf("%v", err)
		}
	})
}

// With managed execution a roll-out waits in CloudFormation's own queue.
func TestManagedExecution(t *testing.T) {
	w := newRehearsedSet(t, three...)
	s := setSpec(three...)
	s.StackSet.ManagedExecution = true
	w.must(w.publish(s, template(1, three...)))
	w.operations()
	w.other("other", three...)
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "UPDATE ap-south-1,eu-central-1,us-east-1; UPDATE eu-central-1; UPDATE ap-south-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	if w.hasSaid("in progress") || w.hasSaid("waiting for") {
		t.Errorf("said %q", w.said)
	}
	w.wantCurrent(6)
}

// A parameter that the template takes, and nobody gives, is told before
// anything is latest; one that is given stays, and is not in the bucket.
func TestStackSetParameters(t *testing.T) {
	inEachWorld(t, func(t *testing.T, begin func(*testing.T, ...string) *setWorld) {
		w := begin(t, three...)
		s := setSpec(three...)
		body := append([]byte("Parameters:\n  Wallet: {Type: String}\n"), template(1, three...)...)
		if err := w.publish(s, body); err == nil || !strings.Contains(err.Error(), "parameter Wallet has no default") || len(w.latest(s)) != 1 || w.latest(s)["NoSuchKey"] != 3 {
			t.Errorf("%v; latest %v", err, w.latest(s))
		}
		s.StackSet.Parameters = map[string]string{"Wallet": "0xsecret"}
		w.must(w.publish(s, body))
		s.StackSet.Parameters = nil
		w.must(w.publish(s, append(body, "# another\n"...)))
		if all := w.set().Parameters; len(all) != 1 || *all[0].ParameterValue != "0xsecret" {
			t.Errorf("the set's parameters are %v", all)
		}
		for key, o := range w.f.objects {
			if strings.Contains(string(o.body), "0xsecret") {
				t.Errorf("%s has the parameter", key)
			}
		}
	})
}

// A roll-out that is killed at any call is gone on with.
func TestRollOutKilledAtEveryCall(t *testing.T) {
	s := setSpec("us-east-1", "eu-central-1")
	inEachWorld(t, func(t *testing.T, make func(*testing.T, ...string) *setWorld) { killRollOut(t, s, make) })
}

func killRollOut(t *testing.T, s publish.Spec, make func(*testing.T, ...string) *setWorld) {
	regions := s.S3.Regions
	for name, first := range map[string]bool{"make": true, "update": false} {
		t.Run(name, func(t *testing.T) {
			begin := func() *setWorld {
				w := make(t, regions...)
				if !first {
					w.must(w.publish(s, template(1, regions...)))
				}
				w.wire.reset(nil)
				return w
			}
			do := func(w *setWorld) error { return w.publish(s, template(2, regions...)) }
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
