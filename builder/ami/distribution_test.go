// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

var fourRegions = []string{"us-east-1", "us-west-1", "us-west-2"}

// oneImageEach fails unless each of the regions holds exactly one available
// image with its snapshot, and no other region anything.
func (w *world) oneImageEach(t *testing.T, regions ...string) map[string]ec2.Resource {
	t.Helper()
	inventory := w.aws.Inventory()
	images := map[string]ec2.Resource{}
	for region, resources := range inventory {
		for _, r := range resources {
			if r.Kind == "image" {
				images[region] = r
			}
			if r.Leaked() || !slices.Contains(regions, region) {
				t.Errorf("%s has the %s %s (%s), which should not be there", region, r.Kind, r.ID, r.State)
			}
		}
	}
	for _, region := range regions {
		if len(inventory[region]) != 2 || images[region].ID == "" {
			t.Errorf("%s has %d resources, want one image and its snapshot", region, len(inventory[region]))
		}
	}
	if t.Failed() {
		t.Logf("the build said:\n%s", w.ui.String())
	}
	return images
}

func reportOf(t *testing.T, artifact packersdk.Artifact) report {
	t.Helper()
	var r report
	text, _ := artifact.State(StateBuild).(string)
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// What passes by itself costs a line, and no image.
func TestACopyIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault rehearsal.Fault
		said  string
	}{
		{"others copy to the region", rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Nth: 1, Code: "ResourceLimitExceeded"}, "us-east-1: "},
		{"EC2 throttles for longer than the SDK tries", rehearsal.Fault{Action: "ModifyImageAttribute", Region: "us-east-1", Nth: 1, Code: "ResourceLimitExceeded"}, "us-east-1: "},
		{"a copy ends as failed", rehearsal.Fault{CopyRegion: "us-east-1", State: "failed", Times: 1}, "copying once more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.aws.AddFault(test.fault)
			if _, err := w.build(t, t.Context(), map[string]any{"ami_users": []string{"444455556666"}}); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			if !strings.Contains(w.ui.String(), test.said) {
				t.Errorf("the build does not say that it tried again:\n%s", w.ui.String())
			}
		})
	}
}

func TestRetriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Code: "ResourceLimitExceeded"})
	if _, err := w.build(t, t.Context(), nil); err == nil || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("got %v, want an error that names us-east-1", err)
	}
	if n := w.aws.Calls()["us-east-1"]["CopyImage"]; n != 4 {
		t.Errorf("CopyImage was called %d times, want 4", n)
	}
	w.oneImageEach(t)
}

func TestKeep(t *testing.T) {
	for name, fault := range map[string]rehearsal.Fault{
		"the copy fails, twice":      {CopyRegion: "us-west-1", State: "failed"},
		"the copy is refused":        {Action: "CopyImage", Region: "us-west-1", Code: "InvalidRequest"},
		"the image cannot be shared": {Action: "ModifyImageAttribute", Region: "us-west-1", Code: "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.aws.AddFault(fault)
			artifact, err := w.build(t, t.Context(), map[string]any{
				"on_copy_failure": "keep", "ami_regions": fourRegions, "ami_users": []string{"444455556666"},
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			images := w.oneImageEach(t, "eu-central-1", "us-east-1", "us-west-2")
			for region, image := range images {
				if !strings.Contains(artifact.Id(), region+":"+image.ID) {
					t.Errorf("the artifact %s lacks %s of %s", artifact.Id(), image.ID, region)
				}
				if image.Tags[tags.State] != tags.Released {
					t.Errorf("%s in %s is not released: %v", image.ID, region, image.Tags)
				}
			}
			r := reportOf(t, artifact)
			if len(r.FailedRegions) != 1 || r.FailedRegions["us-west-1"] == "" {
				t.Errorf("the report names %v as failed, want us-west-1", r.FailedRegions)
			}
			if said := w.ui.String(); !strings.Contains(said, "Missing in us-west-1") || !strings.Contains(said, `build_id = "`+r.BuildID+`"`) {
				t.Errorf("the build does not say what is missing, and how to make it:\n%s", said)
			}
		})
	}
}

// The image that the others were copied from goes too, where its own region is
// the one that fails; and where it was only an intermediary, a resumed build
// copies from another region.
func TestResumeWithoutTheFirstImage(t *testing.T) {
	for name, test := range map[string]struct {
		config  map[string]any
		fault   rehearsal.Fault
		missing string
		regions []string
	}{
		"its region failed": {
			nil, rehearsal.Fault{Action: "ModifyImageAttribute", Region: "eu-central-1", Nth: 1, Code: "UnauthorizedOperation", Status: http.StatusForbidden},
			"eu-central-1", append([]string{"eu-central-1"}, fourRegions...),
		},
		"an intermediary": {
			map[string]any{"skip_save_build_region": true}, rehearsal.Fault{CopyRegion: "us-west-1", State: "failed", Times: 2},
			"us-west-1", fourRegions,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.aws.AddFault(test.fault)
			config := map[string]any{
				"on_copy_failure": "keep", "build_id": resumedID, "ami_regions": fourRegions, "ami_users": []string{"444455556666"},
			}
			maps.Copy(config, test.config)
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, slices.DeleteFunc(slices.Clone(test.regions), func(r string) bool { return r == test.missing })...)
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, test.regions...)
			if n := w.aws.Calls()["eu-central-1"]["RunInstances"]; n != 1 {
				t.Errorf("%d instances were launched, want 1", n)
			}
		})
	}
}

func TestKeepIsNoExcuseForHavingNothing(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Code: "InvalidRequest"})
	_, err := w.build(t, t.Context(), map[string]any{"on_copy_failure": "keep", "skip_save_build_region": true})
	if err == nil {
		t.Error("a build without any image succeeded")
	}
	w.oneImageEach(t)
}

func TestRetryLater(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Code: "InvalidRequest"})
	_, err := w.build(t, t.Context(), map[string]any{"on_copy_failure": "retry-later", "ami_regions": fourRegions})
	if err == nil {
		t.Fatal("the build succeeded without us-west-1")
	}
	inventory := w.aws.Inventory()
	if len(inventory["us-west-1"]) > 0 {
		t.Errorf("us-west-1 has %v", inventory["us-west-1"])
	}
	for region, resources := range inventory {
		for _, r := range resources {
			switch r.Kind {
			case "image", "snapshot":
			default:
				t.Errorf("%s has the %s %s, which no later run needs", region, r.Kind, r.ID)
			}
			if r.Kind == "image" && (r.Tags[tags.State] != tags.Held || !strings.Contains(err.Error(), r.ID)) {
				t.Errorf("%s in %s is %q and perhaps not named by: %v", r.ID, region, r.Tags[tags.State], err)
			}
		}
	}
	if len(inventory["eu-central-1"]) != 2 || !strings.Contains(err.Error(), "build_id = ") {
		t.Errorf("the image of the build is gone, or nothing says how to go on: %v\n%v", inventory, err)
	}
}

// mortal is the way to AWS of a build that is killed before its nth call:
// neither that nor what it would clean up gets through, or comes back.
type mortal struct {
	*world
	nth  int32
	made atomic.Int32
	dead chan struct{}
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	switch made := m.made.Add(1); {
	case made == m.nth:
		close(m.dead)
		select {}
	case made > m.nth:
		select {}
	}
	return m.world.RoundTrip(r)
}

// kill runs a build that dies before its nth call, as of SIGKILL.
func (w *world) kill(t *testing.T, nth int, config map[string]any) {
	t.Helper()
	m := &mortal{world: w, nth: int32(nth), dead: make(chan struct{})}
	w.transport = m
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = w.build(t, context.Background(), config)
	}()
	select {
	case <-m.dead:
	case <-ended:
	}
	w.transport = nil
}

const resumedID = "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"

// Whenever a build is killed, the same build again ends with one image and its
// snapshot in each region, and nothing else; it launches no second instance
// where the image was there.
func TestSweepOfKills(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"plain":           {},
		"an intermediary": {"encrypt_boot": true},
	} {
		config["build_id"] = resumedID
		clean := newWorld(t)
		if _, err := clean.build(t, t.Context(), config); err != nil {
			t.Fatalf("%v\n%s", err, clean.ui.String())
		}
		for nth := 1; nth <= clean.calls; nth++ {
			t.Run(fmt.Sprintf("%s, before call %d", name, nth), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.kill(t, nth, config)
				there := w.aws.Inventory()["eu-central-1"]
				hadImage := slices.ContainsFunc(there, func(r ec2.Resource) bool { return r.Kind == "image" })
				before := w.aws.Calls()["eu-central-1"]["RunInstances"]
				artifact, err := w.build(t, t.Context(), config)
				if err != nil {
					t.Fatalf("%v\n%s", err, w.ui.String())
				}
				images := w.oneImageEach(t, "eu-central-1", "us-east-1")
				for region, image := range images {
					if image.Name != "sweep" || image.Tags[tags.State] != tags.Released || image.Tags[tags.BuildID] != resumedID {
						t.Errorf("%s: %s has the tags %v", region, image.Name, image.Tags)
					}
					if image.Tags[tags.SourceAMI] == "" {
						t.Errorf("%s: %s does not say what it was built from: %v", region, image.ID, image.Tags)
					}
					if !strings.Contains(artifact.Id(), region+":"+image.ID) {
						t.Errorf("the artifact is %s, and %s has %s", artifact.Id(), region, image.ID)
					}
				}
				launched := w.aws.Calls()["eu-central-1"]["RunInstances"] - before
				if hadImage && launched > 0 {
					t.Errorf("%d instances were launched although the image was there", launched)
				}
			})
		}
	}
}

// What is released already is adopted, and the gap is filled.
func TestResumeFillsTheGap(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Nth: 1, Code: "InvalidRequest"})
	config := map[string]any{
		"ami_regions": fourRegions, "on_copy_failure": "keep", "tags": map[string]string{"Source": "{{ .SourceAMI }}"},
	}
	first, err := w.build(t, t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	config["build_id"], config["ami_name"] = reportOf(t, first).BuildID, "another-{{timestamp}}"
	second, err := w.build(t, t.Context(), config)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	images := w.oneImageEach(t, append([]string{"eu-central-1"}, fourRegions...)...)
	for region, image := range images {
		if image.Name != "sweep" || image.Tags["Source"] != images["eu-central-1"].Tags["Source"] {
			t.Errorf("%s has %s with the tags %v", region, image.Name, image.Tags)
		}
	}
	for _, id := range strings.Split(first.Id(), ",") {
		if !strings.Contains(second.Id(), id) {
			t.Errorf("%s of the first run is not in the second's artifact %s", id, second.Id())
		}
	}
	if n := w.aws.Calls()["eu-central-1"]["RunInstances"]; n != 1 {
		t.Errorf("%d instances were launched, want 1", n)
	}
	if r := reportOf(t, second); !r.Resumed || len(r.FailedRegions) > 0 {
		t.Errorf("the report says %+v", r)
	}
}

// retry-later and then the same build again: nothing is made twice.
func TestRetryLaterIsResumed(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-west-1", State: "failed", Times: 2})
	config := map[string]any{"ami_regions": fourRegions, "on_copy_failure": "retry-later", "build_id": resumedID}
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("the build succeeded without us-west-1")
	}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	w.oneImageEach(t, append([]string{"eu-central-1"}, fourRegions...)...)
	for region, calls := range w.aws.Calls() {
		want := 1
		if region == "us-west-1" {
			want = 3
		}
		if n := calls["CopyImage"]; n > want {
			t.Errorf("%s was copied to %d times", region, n)
		}
	}
}

// A resumed build that fails removes what it has made, and nothing else.
func TestAFailedResumeLetsBe(t *testing.T) {
	w := newWorld(t)
	config := map[string]any{"build_id": resumedID}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatal(err)
	}
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-west-2", State: "failed"})
	config["ami_regions"] = fourRegions
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("the build succeeded without us-west-2")
	}
	w.oneImageEach(t, "eu-central-1", "us-east-1")
	if !strings.Contains(w.ui.String(), "before this run is still there, in eu-central-1, us-east-1") {
		t.Errorf("the build does not say what it let be:\n%s", w.ui.String())
	}
}

// What a killed build has left, and a resumed one could not finish, is not a
// dead build's.
func TestAFailedResumeHolds(t *testing.T) {
	config := map[string]any{"build_id": resumedID}
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), config); err != nil {
		t.Fatal(err)
	}
	resume := maps.Clone(config)
	resume["ami_regions"] = fourRegions
	for nth := 1; nth <= clean.calls; nth++ {
		w := newWorld(t)
		w.kill(t, nth, config)
		was := w.aws.Inventory()["eu-central-1"]
		if !slices.ContainsFunc(was, func(r ec2.Resource) bool { return r.Kind == "image" }) {
			continue
		}
		w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Code: "InvalidRequest"})
		if _, err := w.build(t, t.Context(), resume); err == nil {
			t.Fatal("the build succeeded without us-west-1")
		}
		for region, resources := range w.aws.Inventory() {
			for _, r := range resources {
				if r.Kind == "image" && r.Tags[tags.State] == tags.Building || r.Leaked() {
					t.Errorf("killed before call %d: %s has the %s %s, %s", nth, region, r.Kind, r.ID, r.Tags[tags.State])
				}
			}
		}
	}
}

// A time-based copy is asked for where it is wanted.
func TestTimeBasedCopies(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"snapshot_copy_duration_minutes": 15})
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.client("us-east-1").DescribeSnapshots(t.Context(), &awsec2.DescribeSnapshotsInput{SnapshotIds: reportOf(t, artifact).Snapshots["us-east-1"]})
	if err != nil || len(out.Snapshots) != 1 || out.Snapshots[0].TransferType != "time-based" {
		t.Errorf("got %v, %v, want one snapshot with a time-based transfer", out, err)
	}
}

func TestSourceAMIFrom(t *testing.T) {
	w := newWorld(t)
	built, err := w.build(t, t.Context(), map[string]any{"ami_name": "ethminer-1", "ami_regions": []string{"us-east-1"}})
	if err != nil {
		t.Fatal(err)
	}
	first := reportOf(t, built)
	launched := w.aws.Calls()["eu-central-1"]["RunInstances"]

	copyOnly := map[string]any{
		"ami_name": nil, "source_ami_from": "us-east-1:" + first.Images["us-east-1"],
		"ami_regions": []string{"us-east-1", "us-west-1", "us-west-2"}, "skip_save_build_region": true,
		"tags": map[string]string{"Mine": "yes"},
	}
	for _, again := range []bool{false, true} {
		artifact, err := w.build(t, t.Context(), copyOnly)
		if err != nil {
			t.Fatalf("%v\n%s", err, w.ui.String())
		}
		images := w.oneImageEach(t, "eu-central-1", "us-east-1", "us-west-1", "us-west-2")
		if images["us-west-1"].Name != "ethminer-1" || images["us-west-1"].Tags["Mine"] != "yes" || images["us-west-1"].Tags[tags.Family] != "ethminer" {
			t.Errorf("again %v: the copy is %+v", again, images["us-west-1"])
		}
		if images["us-east-1"].Tags["Mine"] != "" {
			t.Errorf("the source has been changed: %v", images["us-east-1"].Tags)
		}
		want := "us-east-1:" + images["us-east-1"].ID + ",us-west-1:" + images["us-west-1"].ID + ",us-west-2:" + images["us-west-2"].ID
		if artifact.Id() != want {
			t.Errorf("again %v: the artifact is %s, want %s", again, artifact.Id(), want)
		}
		if strings.Contains(artifact.State(StateRemoval).(string), images["us-east-1"].ID) {
			t.Error("the commands that remove the artifact would remove its source")
		}
	}
	calls := w.aws.Calls()
	if calls["eu-central-1"]["RunInstances"] != launched || calls["eu-central-1"]["CreateKeyPair"] != 1 || calls["us-west-1"]["CopyImage"] != 1 {
		t.Errorf("a copy made more than copies: %v", calls)
	}
}

func TestAdoptMistakes(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		want   string
	}{
		{"an image that is not there", map[string]any{"source_ami_from": "ami-0123456789abcdef0"}, "source_ami_from: looking for ami-0123456789abcdef0 in eu-central-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.build(t, t.Context(), test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			w.oneImageEach(t)
		})
	}
}

// recorder keeps the calls of a build in their order, "region action" each.
type recorder struct {
	*world
	mu   sync.Mutex
	made []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	scope := strings.Split(request.Header.Get("Authorization"), "/")
	r.mu.Lock()
	if form.Get("DryRun") != "true" {
		r.made = append(r.made, scope[2]+" "+form.Get("Action"))
	}
	r.mu.Unlock()
	return r.world.RoundTrip(request)
}

// One slow region holds up nobody: the others are finished while it copies, and
// nothing is released before it is there.
func TestASlowRegionHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	r := &recorder{world: w}
	w.transport = r
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-west-2", CopyTakes: "300ms"})
	regions := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "eu-west-1", "eu-west-2"}
	_, err := w.build(t, t.Context(), map[string]any{"ami_regions": regions, "ami_users": []string{"444455556666"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	w.oneImageEach(t, append([]string{"eu-central-1"}, regions...)...)
	slow := slices.Index(r.made, "us-west-2 ModifyImageAttribute")
	for _, region := range append([]string{"eu-central-1"}, regions...) {
		if region != "us-west-2" && slices.Index(r.made, region+" ModifyImageAttribute") > slow {
			t.Errorf("%s waited for us-west-2: %v", region, r.made)
		}
		if slices.Index(r.made, region+" CreateTags") < slow {
			t.Errorf("%s was released before us-west-2 was there: %v", region, r.made)
		}
	}
	if calls := w.aws.Calls()["us-east-1"]; calls["CreateTags"] != 1 {
		t.Errorf("us-east-1: %v, want one CreateTags: all other tags are there from the first moment", calls)
	}
}

// With copy_parallelism = 1 the second copy begins when the first is there.
func TestCopyParallelism(t *testing.T) {
	w := newWorld(t)
	r := &recorder{world: w}
	w.transport = r
	regions := []string{"us-east-1", "us-west-1"}
	for _, region := range regions {
		w.aws.AddFault(rehearsal.Fault{CopyRegion: region, CopyTakes: "100ms"})
	}
	if _, err := w.build(t, t.Context(), map[string]any{"ami_regions": regions, "copy_parallelism": 1}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	w.oneImageEach(t, "eu-central-1", "us-east-1", "us-west-1")
	isCopy := func(call string) bool { return strings.HasSuffix(call, " CopyImage") }
	first := slices.IndexFunc(r.made, isCopy)
	between := r.made[first+1:]
	between = between[:slices.IndexFunc(between, isCopy)]
	asked := strings.TrimSuffix(r.made[first], "CopyImage") + "Describe"
	if n := len(slices.DeleteFunc(slices.Clone(between), func(call string) bool { return !strings.HasPrefix(call, asked) })); n < 2 {
		t.Errorf("the second copy began after %d looks at the first, which was not there yet: %v", n, r.made)
	}
}

// A panic is an error, after which the other steps clean up.
func TestAPanicLeavesNothing(t *testing.T) {
	for _, action := range []string{"CopyImage", "CreateImage", "ModifyImageAttribute"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t)
			w.transport = panicking{w, "Action=" + action + "&"}
			artifact, err := w.build(t, t.Context(), map[string]any{"ami_users": []string{"444455556666"}})
			if artifact != nil || err == nil || !strings.Contains(err.Error(), "a mistake in this plugin") {
				t.Errorf("got %v, %v", artifact, err)
			}
			w.oneImageEach(t)
		})
	}
}

type panicking struct {
	*world
	at string
}

func (p panicking) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body, []byte(p.at)) {
		panic("as told")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return p.world.RoundTrip(r)
}

func TestKnownTags(t *testing.T) {
	const benchmark = `{"schema_version": 1, "source": "https://example.com/ethminer.git at ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9",
		"device": "cuda", "gpus": ["Tesla T4", "Tesla T4"], "cuda": "12.4", "driver": "550.54.15", "hashrate_hs": 25500000}`
	for _, test := range []struct {
		name, text string
		want       map[string]string
	}{
		{"all that there is", benchmark, map[string]string{
			tags.Commit: "ce52c74021b6fbaaddea3c3c52f64f24e39ea3e9", tags.GPU: "Tesla T4", tags.CUDA: "12.4", tags.Driver: "550.54.15", tags.Hashrate: "25.50 Mh/s",
		}},
		{"none", "", nil},
		{"a folder has no commit", `{"source": "./my-ethminer"}`, map[string]string{}},
		{"a field of another type", `{"cuda": {"version": 1}}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := benchmarkTags([]byte(test.text))
			maps.DeleteFunc(got, func(_, value string) bool { return value == "" })
			if !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// The user's tags win over what the builder knows, and not over what a sweep
// goes by; where there is no room, the builder's own go.
func TestTagsOfAnImage(t *testing.T) {
	w := newWorld(t)
	many := map[string]string{tags.Family: "mine", tags.State: "mine", "Source": "{{ .SourceAMI }}"}
	for i := range 42 {
		many[fmt.Sprintf("key-%d", i)] = "value"
	}
	if _, err := w.build(t, t.Context(), map[string]any{"tags": many}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		if image.Tags[tags.Family] != "mine" || image.Tags[tags.State] != tags.Released || image.Tags["key-41"] != "value" || len(image.Tags) > 50 {
			t.Errorf("%s has %d tags: %v", region, len(image.Tags), image.Tags)
		}
	}
}

func TestTagMistakes(t *testing.T) {
	many := map[string]string{}
	for i := range 48 {
		many[fmt.Sprintf("key-%d", i)] = ""
	}
	for want, config := range map[string]map[string]any{
		`tags: the value of "a" has 300 characters; expected at most 255`:  {"tags": map[string]string{"a": strings.Repeat("x", 300)}},
		`snapshot_tags: the key "aws:x" begins with "aws:"`:                {"snapshot_tags": map[string]string{"aws:x": ""}},
		`EC2 takes 50 on a resource`:                                       {"tags": many},
		`on_copy_failure: "later"; expected "rollback", "keep" or`:         {"on_copy_failure": "later"},
		`build_id: "x"; expected the id`:                                   {"build_id": "x"},
		`source_ami_from: "ami"; expected an image such as`:                {"source_ami_from": "ami"},
		`build_id, source_ami_from: only one of them can be set`:           {"build_id": resumedID, "source_ami_from": "ami-0123456789abcdef0"},
		`copy_parallelism: -1; expected`:                                   {"copy_parallelism": -1},
		`keep_releases: -1; expected`:                                      {"keep_releases": -1},
		`retire_after: "soon"; expected days such as "30d"`:                {"keep_releases": 1, "retire_after": "soon"},
		`keep_named_in[0]: "[": syntax error in pattern; expected a file,`: {"keep_releases": 1, "keep_named_in": []string{"["}},
		`they mean nothing without keep_releases`:                          {"retire_after": "30d"},
	} {
		config["region"] = "us-east-1"
		var b Builder
		if _, _, err := b.Prepare(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
