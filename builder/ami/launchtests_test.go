// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launchtest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// passes are checks that pass.
func passes(context.Context, packersdk.Communicator, launchtest.Plan) (launchtest.Seen, error) {
	return launchtest.Seen{Rate: 25e6, Expected: 25.1e6, Checks: []artifact.TestCheck{{Name: "service", Passed: true, Saw: "active"}}}, nil
}

// fails are checks that fail.
func fails(context.Context, packersdk.Communicator, launchtest.Plan) (launchtest.Seen, error) {
	failed := &launchtest.CheckError{Check: "service", Saw: "it ended", Cause: "see its log"}
	return launchtest.Seen{Checks: []artifact.TestCheck{{Name: "service", Saw: "it ended"}}}, failed
}

// testBuild runs a build whose launch tests make the given checks.
func (w *world) testBuild(t *testing.T, ctx context.Context, checks steps.MakeChecks, test, config map[string]any) (packersdk.Artifact, error) {
	t.Helper()
	all := map[string]any{"launch_test": test}
	for key, value := range config {
		all[key] = value
	}
	b := w.builder(t, all)
	b.checkLaunch = checks
	return b.Run(ctx, w.listener(), &packersdk.MockHook{})
}

// tagsOf returns a tag of all images, by region.
func (w *world) tagsOf(key string) map[string]string {
	found := map[string]string{}
	for region, resources := range w.aws.Inventory() {
		for _, r := range resources {
			if r.Kind == "image" {
				found[region] = r.Tags[key]
			}
		}
	}
	return found
}

// TestLaunchTestPasses: the images are shared and released after the verdict, and carry it.
func TestLaunchTestPasses(t *testing.T) {
	w := newWorld(t)
	shared := func() bool { return w.aws.Calls()["eu-central-1"]["ModifyImageAttribute"] > 0 }
	early := false
	checks := func(ctx context.Context, comm packersdk.Communicator, plan launchtest.Plan) (launchtest.Seen, error) {
		time.Sleep(50 * time.Millisecond) // the copies take less
		early = shared()
		return passes(ctx, comm, plan)
	}
	built, err := w.testBuild(t, t.Context(), checks, map[string]any{}, map[string]any{"ami_users": []string{"444455556666"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if early || !shared() {
		t.Errorf("shared before the verdict: %v, afterwards: %v", early, shared())
	}
	report := reportOf(t, built)
	if len(report.LaunchTests) != 1 || !report.PassedTest() || report.Unreleased {
		t.Fatalf("the report has %+v", report.LaunchTests)
	}
	r := report.LaunchTests[0]
	if r.Region != "eu-central-1" || r.Image != report.Images["eu-central-1"] || r.InstanceID == "" || r.InstanceID == report.InstanceID || r.InstanceType != report.InstanceType ||
		r.Hashrate != 25e6 || r.ExpectedHashrate != 25.1e6 || r.BilledSeconds <= 0 || r.CostUSD <= 0 || r.FinishedAt.IsZero() {
		t.Errorf("the report has %+v", r)
	}
	for region, tag := range w.tagsOf(tags.LaunchTest) {
		if tag != r.Tag() || !artifact.TagSaysPassed(tag) {
			t.Errorf("%s: the image's tag is %q, want %q", region, tag, r.Tag())
		}
	}
	if said := w.ui.String(); !strings.Contains(said, "Launch test of "+r.Image+" in eu-central-1 passed: service; 25.00 Mh/s (benchmark 25.10 Mh/s); "+r.InstanceID) || !strings.Contains(said, "s billed, about $0.01") {
		t.Errorf("the build says\n%s", said)
	}
	if text := built.String(); !strings.Contains(text, "launch test: "+r.Tag()) {
		t.Errorf("the artifact is %q", text)
	}
	if left := w.left(); len(left) != 4 {
		t.Errorf("want two images with a snapshot each, got:\n%s", strings.Join(left, "\n"))
	}
}

// TestLaunchTestFails: by default nothing of the build is left, and the copies end early.
func TestLaunchTestFails(t *testing.T) {
	w := newWorld(t)
	old, err := w.build(t, t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := w.left()
	_, err = w.testBuild(t, t.Context(), fails, map[string]any{}, map[string]any{"force_deregister": true, "ami_users": []string{"444455556666"}})
	if err == nil || !strings.Contains(err.Error(), "launch_test: ami-") || !strings.Contains(err.Error(), "in eu-central-1 failed: service: it ended; see its log") {
		t.Errorf("got error %v", err)
	}
	if after := w.left(); !slices.Equal(before, after) {
		t.Errorf("%s must be all that is left, got\n%s", old.Id(), strings.Join(after, "\n"))
	}
	if n := w.aws.Calls()["eu-central-1"]["ModifyImageAttribute"]; n != 0 {
		t.Errorf("an image was shared, %d times", n)
	}
	if said := w.ui.String(); !strings.Contains(said, "Console output, journal and state of cloud-init: ") {
		t.Errorf("the build names no evidence:\n%s", said)
	}
}

// TestLaunchTestKeeps: the images are kept, but replace nothing and are not shared.
func TestLaunchTestKeeps(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before := w.left()
	built, err := w.testBuild(t, t.Context(), fails, map[string]any{}, map[string]any{
		"on_launch_test_failure": "keep", "force_deregister": true, "keep_releases": 1, "ami_users": []string{"444455556666"}, "ami_name": "sweep",
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	report := reportOf(t, built)
	if !report.Unreleased || len(report.FailedTests()) != 1 || len(report.Images) != 2 {
		t.Errorf("the report has %+v", report)
	}
	after := w.left()
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("%s is gone", line)
		}
	}
	if len(after) != len(before)+4 {
		t.Errorf("want two more images, got\n%s", strings.Join(after, "\n"))
	}
	calls := w.aws.Calls()
	if n := calls["eu-central-1"]["ModifyImageAttribute"] + calls["us-east-1"]["ModifyImageAttribute"]; n != 0 {
		t.Errorf("an image was shared, %d times", n)
	}
	for _, region := range []string{"eu-central-1", "us-east-1"} {
		out, err := w.client(region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{report.Images[region]}})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, tag := range out.Images[0].Tags {
			found[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		if found[tags.State] != tags.Held || !artifact.TagSaysFailed(found[tags.LaunchTest]) {
			t.Errorf("%s: the image has the tags %v", region, found)
		}
	}
}

// noCapacityForTest refuses every launch after the build's.
func noCapacityForTest(w *world) {
	w.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Nth: 2, Code: noCapacity})
	w.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Nth: 3, Code: noCapacity})
}

// TestLaunchTestNotMade: without capacity nothing is known about the image.
func TestLaunchTestNotMade(t *testing.T) {
	for _, required := range []bool{false, true} {
		t.Run(fmt.Sprintf("required %v", required), func(t *testing.T) {
			w := newWorld(t)
			noCapacityForTest(w)
			built, err := w.testBuild(t, t.Context(), passes, map[string]any{"required": required}, map[string]any{"availability_zone": "eu-central-1a", "preflight": "off"})
			said := w.ui.String()
			if !strings.Contains(said, "in eu-central-1 not made: launching: ") {
				t.Errorf("the build says\n%s", said)
			}
			if required {
				if err == nil || !strings.Contains(err.Error(), "launch_test: ami-") || len(w.left()) > 0 {
					t.Errorf("got error %v, and left %v", err, w.left())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if report := reportOf(t, built); report.Unreleased || report.PassedTest() || report.LaunchTests[0].Verdict != artifact.TestNotMade {
				t.Errorf("the report has %+v", report.LaunchTests)
			}
		})
	}
}

// TestLaunchTestResumes: a resumed build does not test again what has passed.
func TestLaunchTestResumes(t *testing.T) {
	w := newWorld(t)
	id := "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"
	if _, err := w.testBuild(t, t.Context(), passes, map[string]any{}, map[string]any{"build_id": id, "ami_regions": []string{"us-east-1"}}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	launched := w.aws.Calls()["eu-central-1"]["RunInstances"]
	built, err := w.testBuild(t, t.Context(), fails, map[string]any{}, map[string]any{"build_id": id, "ami_regions": []string{"us-east-1", "us-west-2"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if now := w.aws.Calls()["eu-central-1"]["RunInstances"]; now != launched {
		t.Errorf("the resumed build launched %d instances", now-launched)
	}
	report := reportOf(t, built)
	if !report.PassedTest() || !report.LaunchTests[0].Earlier {
		t.Errorf("the report has %+v", report.LaunchTests)
	}
	for region, tag := range w.tagsOf(tags.LaunchTest) {
		if !artifact.TagSaysPassed(tag) {
			t.Errorf("%s: the tag is %q", region, tag)
		}
	}
}

// TestLaunchTestOfEachRegion: every copy is tested in its region, at most four at once.
func TestLaunchTestOfEachRegion(t *testing.T) {
	w := newWorld(t)
	regions := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1"}
	var mu sync.Mutex
	now, most := 0, 0
	checks := func(ctx context.Context, comm packersdk.Communicator, plan launchtest.Plan) (launchtest.Seen, error) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(30 * time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		return passes(ctx, comm, plan)
	}
	built, err := w.testBuild(t, t.Context(), checks, map[string]any{"regions": []string{"all"}}, map[string]any{"ami_regions": regions})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	report := reportOf(t, built)
	if len(report.LaunchTests) != 6 || most > 4 {
		t.Errorf("%d tests, %d at once", len(report.LaunchTests), most)
	}
	for _, r := range report.LaunchTests {
		if r.Image != report.Images[r.Region] || r.Verdict != artifact.TestPassed {
			t.Errorf("%+v", r)
		}
	}
	if left := w.left(); len(left) != 12 {
		t.Errorf("want six images, got\n%s", strings.Join(left, "\n"))
	}
}

// TestLaunchTestOfAnExistingImage: the image of source_ami_from is tested, and not changed.
// A region without an image has no silent test.
func TestLaunchTestOfAnExistingImage(t *testing.T) {
	w := newWorld(t)
	first, err := w.build(t, t.Context(), map[string]any{"ami_regions": []string(nil)})
	if err != nil {
		t.Fatal(err)
	}
	source := reportOf(t, first).Images["eu-central-1"]
	config := map[string]any{"source_ami_from": source, "ami_name": "copied", "ami_regions": []string{"us-east-1"}}
	built, err := w.testBuild(t, t.Context(), passes, map[string]any{}, config)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if report := reportOf(t, built); len(report.LaunchTests) != 1 || report.LaunchTests[0].Image != source || !report.PassedTest() {
		t.Errorf("the report has %+v", report.LaunchTests)
	}
	if found := w.tagsOf(tags.LaunchTest); found["eu-central-1"] != "" || !artifact.TagSaysPassed(found["us-east-1"]) {
		t.Errorf("the images have the tags %v", found)
	}

	w = newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Nth: 1, Code: "InvalidRequest"})
	built, err = w.testBuild(t, t.Context(), passes, map[string]any{"regions": []string{"us-west-1"}}, map[string]any{"ami_regions": []string{"us-west-1"}, "on_copy_failure": "keep"})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	report := reportOf(t, built)
	if len(report.LaunchTests) != 1 || report.LaunchTests[0].Verdict != artifact.TestNotMade || report.PassedTest() || !strings.Contains(w.ui.String(), "Launch test of us-west-1 not made: the build has no image in this region") {
		t.Errorf("the report has %+v, and the build says\n%s", report.LaunchTests, w.ui.String())
	}
}

// TestLaunchTestCancelAtEachCall: whatever a cancelled build with a test leaves is named.
func TestLaunchTestCancelAtEachCall(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.testBuild(t, t.Context(), passes, map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	for nth := 1; nth <= clean.calls; nth++ {
		t.Run(fmt.Sprintf("before call %d", nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.onCall = func(now int) {
				if now == nth {
					cancel()
				}
			}
			built, err := w.testBuild(t, ctx, passes, map[string]any{}, nil)
			if built != nil && ctx.Err() != nil || built == nil && err == nil {
				t.Errorf("got %v and %v, want an error and no artifact", built, err)
			}
			said := w.ui.String()
			for _, line := range w.left() {
				kept := regexp.MustCompile(`--delete-associated-snapshots --image-id ` + w.imageOf(strings.Fields(line)[2]))
				if built == nil && !kept.MatchString(said) && !named(said, line) {
					t.Errorf("got a leftover without a removal command (error %v): %s\n--- build output:\n%s", err, line, said)
				}
				if strings.Contains(line, " instance ") {
					t.Errorf("an instance is left: %s", line)
				}
			}
		})
	}
}

// TestLaunchTestKillAtEachCall kills a build with a test in both regions at each call. The
// same build, run again, leaves one image each and nothing of the tests.
func TestLaunchTestKillAtEachCall(t *testing.T) {
	test, config := map[string]any{"regions": []string{"all"}}, map[string]any{"build_id": resumedID}
	clean := newWorld(t)
	if _, err := clean.testBuild(t, t.Context(), passes, test, config); err != nil {
		t.Fatal(err)
	}
	for nth := 1; nth <= clean.calls; nth++ {
		t.Run(fmt.Sprintf("before call %d", nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.killRun(nth, func() { _, _ = w.testBuild(t, context.Background(), passes, test, config) })
			built, err := w.testBuild(t, t.Context(), passes, test, config)
			if err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			if report := reportOf(t, built); len(report.LaunchTests) != 2 || !report.PassedTest() {
				t.Errorf("the report has %+v", report.LaunchTests)
			}
		})
	}
}

// TestLaunchTestIsPlanned: max_build_cost and the preflight count the test's instance.
func TestLaunchTestIsPlanned(t *testing.T) {
	w := newWorld(t)
	config := map[string]any{"max_build_time": "1h", "prices": map[string]string{"g4dn.xlarge": "0.5"}, "max_build_cost": 0.6, "availability_zone": "eu-central-1a"}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatal(err)
	}
	config["ami_name"] = "second"
	_, err := w.testBuild(t, t.Context(), passes, map[string]any{"timeout": "30m"}, config)
	if err == nil || !strings.Contains(err.Error(), "and 30m0s of launch_test, more than $0.60") {
		t.Errorf("got error %v", err)
	}
	_, err = w.testBuild(t, t.Context(), passes, map[string]any{"instance_types": []string{"g99.large"}, "required": true}, map[string]any{"ami_name": "third"})
	if err == nil || !strings.Contains(err.Error(), `preflight: launch_test: no instance can be launched in eu-central-1: instance_types: got "g99.large", which is not offered in eu-central-1`) {
		t.Errorf("got error %v", err)
	}
}
