// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

var accounts = []string{"111111111111", "222222222222"}

func setSpec(regions ...string) publish.Spec {
	s := spec(regions...)
	s.SSM = nil
	s.StackSet = &stackset.Config{
		Name: "mining", Region: "us-east-1", Regions: regions, Accounts: accounts, CanaryRegion: "eu-central-1", OnFailure: stackset.Restore, Timeout: 2 * time.Second,
	}
	return s
}

// A set is created, the canary region's stacks first; then updated; and unchanged
// if nothing has changed.
func TestRollOut(t *testing.T) {
	w := newWorld(t, three...)
	s, four := setSpec(three...), append(slices.Clone(three), "sa-east-1")
	w.must(w.publish(s, template(1, four...)))
	if got := w.operations(); got != "CREATE eu-central-1; CREATE ap-south-1,us-east-1" {
		t.Errorf("made by %s", got)
	}
	w.must(w.publish(s, template(2, four...)))
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	w.must(w.publish(s, template(2, four...)))
	if got := w.operations(); got != "" {
		t.Errorf("nothing has changed, and there was %s", got)
	}
	w.wantCurrent(6)
	// For a new region and a new account, only the missing instances are
	// created.
	w.makeBucket(bucketOf("sa-east-1"), "sa-east-1")
	more := setSpec(four...)
	more.StackSet.Accounts = append(slices.Clone(accounts), "333333333333")
	w.must(w.publish(more, template(2, four...)))
	if got := w.operations(); got != "CREATE eu-central-1; CREATE sa-east-1; CREATE ap-south-1,us-east-1" {
		t.Errorf("made by %s", got)
	}
	w.wantCurrent(12)
}

// CloudFormation responds in XML, in which lines end in LF: a template with CRLF
// does not count as changed.
func TestLineEnds(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	body := bytes.ReplaceAll(template(1, three...), []byte("\n"), []byte("\r\n"))
	w.must(w.publish(s, body))
	w.operations()
	w.must(w.publish(s, body))
	if got := w.operations(); got != "" {
		t.Errorf("nothing has changed, and there was %s", got)
	}
}

// Requests have organizational units, and no accounts.
func TestOrganizationalUnits(t *testing.T) {
	w := newWorld(t, three...)
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
}

// If the accounts differ between regions, several operations update them:
// CloudFormation rejects an operation for a missing instance.
func TestRaggedSet(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	fewer := func() {
		_, err := w.cloudformation().DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
			StackSetName: mining, Accounts: accounts[1:], Regions: []string{"ap-south-1"}, RetainStacks: aws.Bool(false),
		})
		w.must(err)
		w.idle()
		w.operations()
	}
	fewer()
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1; UPDATE us-east-1; CREATE ap-south-1" {
		t.Errorf("updated by %s", got)
	}
	w.wantCurrent(6)
	// A rollback does the same.
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

// An operation whose response was lost is not started twice: the SDK's retry gets
// the error that its id exists.
func TestLostAnswer(t *testing.T) {
	w := newWorld(t, three...)
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

// If a later stage makes the stacks of an earlier one OUTDATED, all are updated
// once more, together.
func TestSettle(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	w.operations()
	// A rehearsal marks the stacks of other stages only if the update has a
	// template: the later stages get that of the first one.
	first := ""
	w.wire.to = &edits{to: w.wire.to, request: func(c call, body string) string {
		form, err := url.ParseQuery(body)
		if c.action != "UpdateStackSet" || err != nil {
			return body
		}
		if form.Has("TemplateURL") {
			first = form.Get("TemplateURL")
		}
		form.Del("UsePreviousTemplate")
		form.Set("TemplateURL", first)
		return form.Encode()
	}}
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1,us-east-1; UPDATE ap-south-1,eu-central-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	w.wantCurrent(6)
}

// changed is when each stack has changed.
func (w *world) changed() map[string]time.Time {
	all := map[string]time.Time{}
	for _, stack := range w.server.Stacks("us-east-1", "mining") {
		all[stack.Region+" "+stack.Account] = stack.Changed
	}
	return all
}

// Another operation in progress is waited for, with a line and a limit; if it does
// not end, nothing has changed.
func TestOperationInProgress(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	w.other("other", three...)
	w.must(w.publish(s, template(2, three...)))
	if !w.hasSaid("waiting for operation other (UPDATE), which is RUNNING") {
		t.Errorf("said %q", w.said)
	}
	s.StackSet.Timeout = 20 * time.Millisecond
	w.other("another", three...)
	w.ticks.step = 0 // so that it does not end
	err := w.publish(s, template(3, three...))
	if err == nil || !strings.Contains(err.Error(), "operation another is still in progress") {
		t.Errorf("%v", err)
	}
	if latest := w.latest(s); latest[w0(t, s, 2)+" number 2"] != 3 {
		t.Errorf("latest has changed: %v", latest)
	}
}

// An operation that begins after that is also waited for, with a limit.
func TestOperationInProgressException(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	s.StackSet.ManagedExecution = true // so that nothing is asked before
	w.other("other", three...)
	w.must(w.publish(s, template(2, three...)))
	if !w.hasSaid("another operation is in progress; retrying for up to 2s") {
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
}

// With managed execution CloudFormation queues the roll-out.
func TestManagedExecution(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	s.StackSet.ManagedExecution = true
	w.must(w.publish(s, template(1, three...)))
	w.operations()
	w.other("other", three...)
	w.must(w.publish(s, template(2, three...)))
	if got := w.operations(); got != "UPDATE ap-south-1,eu-central-1,us-east-1; UPDATE eu-central-1; UPDATE ap-south-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	if w.hasSaid("in progress") || w.hasSaid("waiting for operation") || !w.hasSaid("is queued behind") {
		t.Errorf("said %q", w.said)
	}
	w.wantCurrent(6)
}

// An operation that stays in the queue is not waited for without end, and the time
// in the queue does not count as the time of the operation.
func TestQueuedOperation(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	s.StackSet.ManagedExecution = true
	w.must(w.publish(s, template(1, three...)))
	w.other("other", three...)
	s.StackSet.Timeout = 20 * time.Millisecond
	w.ticks.step = 0 // so that it does not end
	err := w.publish(s, template(2, three...))
	if !w.hasSaid("is queued behind operation other (UPDATE), which is RUNNING; waiting for up to 20ms") {
		t.Errorf("said %q", w.said)
	}
	if err == nil || !strings.Contains(err.Error(), "is still QUEUED after 20ms") || !strings.Contains(err.Error(), "aws cloudformation stop-stack-set-operation") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(w.template(), "number 2") || w.hasSaid("restoring") {
		t.Errorf("restored, although the operation continues; the set has %s", w.template())
	}
	w.ticks.step, s.StackSet.Timeout = time.Second, time.Minute
	w.must(w.publish(s, template(2, three...)))
	w.wantCurrent(6)
}

// If somebody stops the operation, nothing else is started, and the next run
// continues.
func TestStoppedOperation(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	w.operations()
	w.wire.reset(func(_ int, c call) error {
		if c.action != "DescribeStackSetOperation" {
			return nil
		}
		w.wire.reset(nil)
		w.ticks.step = 0
		defer func() { w.ticks.step = time.Second }()
		out, err := w.cloudformation().ListStackSetOperations(t.Context(), &cloudformation.ListStackSetOperationsInput{StackSetName: mining})
		w.must(err)
		_, err = w.cloudformation().StopStackSetOperation(t.Context(), &cloudformation.StopStackSetOperationInput{StackSetName: mining, OperationId: out.Summaries[0].OperationId})
		w.must(err)
		return nil
	})
	err := w.publish(s, template(2, three...))
	if err == nil || !strings.Contains(err.Error(), "somebody stopped it, with stop-stack-set-operation or in the console") {
		t.Errorf("%v", err)
	}
	if got := w.operations(); got != "UPDATE eu-central-1" || !strings.Contains(w.template(), "number 2") {
		t.Errorf("after the stop: %s, and the set has %s", got, w.template())
	}
	w.must(w.publish(s, template(2, three...)))
	w.wantCurrent(6)
}

// A parameter without a value is reported before anything is latest; a given value
// is not stored in the bucket.
func TestStackSetParameters(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	body := append([]byte("Parameters:\n  Wallet: {Type: String}\n  Pool: {Type: String}\n"), template(1, three...)...)
	if err := w.publish(s, body); err == nil || !strings.Contains(err.Error(), "without a value: Pool, Wallet;") || len(w.latest(s)) != 1 || w.latest(s)["NoSuchKey"] != 3 {
		t.Errorf("%v; latest %v", err, w.latest(s))
	}
	s.StackSet.Parameters = map[string]string{"Wallet": "0xsecret", "Pool": "p"}
	w.must(w.publish(s, body))
	s.StackSet.Parameters = nil
	w.must(w.publish(s, append(body, "# another\n"...)))
	if all := w.set().Parameters; len(all) != 2 || *all[0].ParameterValue != "0xsecret" && *all[1].ParameterValue != "0xsecret" {
		t.Errorf("the set's parameters are %v", all)
	}
	for key, body := range w.objects() {
		if strings.Contains(body, "0xsecret") {
			t.Errorf("%s has the parameter", key)
		}
	}
}

// A roll-out that is killed at any call is resumed.
func TestRollOutKilledAtEveryCall(t *testing.T) {
	s := setSpec("us-east-1", "eu-central-1")
	regions := s.S3.Regions
	for name, first := range map[string]bool{"make": true, "update": false} {
		t.Run(name, func(t *testing.T) {
			begin := func() *world {
				w := newWorld(t, regions...)
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

// The reason why a stack failed is reported, with a remedy if one is known.
func TestReasonOfFailure(t *testing.T) {
	for reason, want := range map[string]string{
		"": "the account 222222222222 is not enabled for stack sets: create the execution role in it", // the rehearsal has a reason for it
		"The security token included in the request is invalid":                  "enable us-east-1 in the account 222222222222",
		"ResourceLogicalId:Handle, ResourceStatusReason:Resource limit exceeded": "us-east-1, account 222222222222: ResourceLogicalId:Handle, ResourceStatusReason:Resource limit exceeded",
	} {
		w := newWorld(t, three...)
		w.server.AddFault(rehearsal.Fault{StackRegion: "us-east-1", StackAccount: accounts[1], State: "failed", Message: reason})
		if err := w.publish(setSpec(three...), template(1, three...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A cancellation does not end the operation: the error has the command that does,
// and what has already changed.
func TestCancelledOperation(t *testing.T) {
	for action, want := range map[string]string{
		"DescribeStackSetOperation": " continues in AWS, and latest and the parameters are already of version ",
		"CreateStackInstances":      " may have started in AWS, and latest and the parameters are already of version ",
	} {
		w := newWorld(t, three...)
		s := setSpec(three...)
		s.SSM = spec(three...).SSM
		ctx, cancel := context.WithCancel(t.Context())
		w.ctx = ctx
		w.wire.reset(func(_ int, c call) error {
			if c.action == action {
				cancel()
			}
			return nil
		})
		err := w.publish(s, template(1, three...))
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "aws cloudformation stop-stack-set-operation --region us-east-1 --stack-set-name mining --operation-id ethminer-") {
			t.Errorf("%s: error %v", action, err)
		}
	}
}
