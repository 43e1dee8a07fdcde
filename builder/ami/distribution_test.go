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
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

var fourRegions = []string{"us-east-1", "us-west-1", "us-west-2"}

// oneImageEach checks that each of the regions holds exactly one available image with
// its snapshot, and that all other regions are empty.
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
				t.Errorf("%s: got unwanted %s %s (%s)", region, r.Kind, r.ID, r.State)
			}
		}
	}
	for _, region := range regions {
		if len(inventory[region]) != 2 || images[region].ID == "" {
			t.Errorf("%s: got %d resources, want one image and its snapshot", region, len(inventory[region]))
		}
	}
	if t.Failed() {
		t.Logf("build output:\n%s", w.ui.String())
	}
	return images
}

func reportOf(t *testing.T, built packersdk.Artifact) (r artifact.Report) {
	t.Helper()
	text, _ := built.State("ethminer.build").(string)
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCopyIsRetried: a transient failure costs one line of output and no image.
func TestCopyIsRetried(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault rehearsal.Fault
		said  string
	}{
		{"the region has too many copies in progress", rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Nth: 1, Code: "ResourceLimitExceeded"}, "us-east-1: "},
		{"EC2 throttles for longer than the SDK tries", rehearsal.Fault{Action: "ModifyImageAttribute", Region: "us-east-1", Nth: 1, Code: "ResourceLimitExceeded"}, "us-east-1: "},
		{"a copy ends as failed", rehearsal.Fault{CopyRegion: "us-east-1", State: "failed", Times: 1}, "retrying the copy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.aws.AddFault(test.fault)
			if _, err := w.build(t, t.Context(), map[string]any{"ami_users": []string{"444455556666"}}); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			if !strings.Contains(w.ui.String(), test.said) {
				t.Errorf("the output does not mention the retry:\n%s", w.ui.String())
			}
		})
	}
}

func TestRetriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Code: "ResourceLimitExceeded"})
	if _, err := w.build(t, t.Context(), nil); err == nil || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("got error %v, want one that names us-east-1", err)
	}
	if n := w.aws.Calls()["us-east-1"]["CopyImage"]; n != 4 {
		t.Errorf("got %d CopyImage calls, want 4", n)
	}
	w.oneImageEach(t)
}

func TestKeep(t *testing.T) {
	for name, fault := range map[string]rehearsal.Fault{
		"the copy fails twice":       {CopyRegion: "us-west-1", State: "failed"},
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
					t.Errorf("%s in %s: got tags %v, want released", image.ID, region, image.Tags)
				}
			}
			r := reportOf(t, artifact)
			if len(r.FailedRegions) != 1 || r.FailedRegions["us-west-1"] == "" {
				t.Errorf("got failed regions %v, want us-west-1", r.FailedRegions)
			}
			if said := w.ui.String(); !strings.Contains(said, "Continuing without images in us-west-1") || !strings.Contains(said, `build_id = "`+r.BuildID+`"`) {
				t.Errorf("the output does not list the missing regions and the command that adds them:\n%s", said)
			}
		})
	}
}

// TestResumeWithoutTheFirstImage: the image that all copies were made from is deleted
// if its region fails or if it was an intermediary. A resumed build copies from another
// region.
func TestResumeWithoutTheFirstImage(t *testing.T) {
	for name, test := range map[string]struct {
		config  map[string]any
		fault   rehearsal.Fault
		missing string
		regions []string
	}{
		"its region fails": {
			nil, rehearsal.Fault{Action: "ModifyImageAttribute", Region: "eu-central-1", Nth: 1, Code: "UnauthorizedOperation", Status: http.StatusForbidden},
			"eu-central-1", append([]string{"eu-central-1"}, fourRegions...),
		},
		"it is an intermediary": {
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
				t.Errorf("got %d launched instances, want 1", n)
			}
		})
	}
}

func TestKeepFailsWithoutImages(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Code: "InvalidRequest"})
	_, err := w.build(t, t.Context(), map[string]any{"on_copy_failure": "keep", "skip_save_build_region": true})
	if err == nil {
		t.Error("got no error, want one for a build without any image")
	}
	w.oneImageEach(t)
}

func TestRetryLater(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Code: "InvalidRequest"})
	_, err := w.build(t, t.Context(), map[string]any{"on_copy_failure": "retry-later", "ami_regions": fourRegions})
	if err == nil {
		t.Fatal("got no error, want one for us-west-1")
	}
	inventory := w.aws.Inventory()
	if len(inventory["us-west-1"]) > 0 {
		t.Errorf("us-west-1: got %v, want no resources", inventory["us-west-1"])
	}
	for region, resources := range inventory {
		for _, r := range resources {
			switch r.Kind {
			case "image", "snapshot":
			default:
				t.Errorf("%s: got %s %s, which no later run needs", region, r.Kind, r.ID)
			}
			if r.Kind == "image" && (r.Tags[tags.State] != tags.Held || !strings.Contains(err.Error(), r.ID)) {
				t.Errorf("%s in %s: got state %q and error %v, want held and named in the error", r.ID, region, r.Tags[tags.State], err)
			}
		}
	}
	if len(inventory["eu-central-1"]) != 2 || !strings.Contains(err.Error(), "build_id = ") {
		t.Errorf("got inventory %v, want the build's image; error %v, want the build_id to resume", inventory, err)
	}
}

// mortal is the transport of a build that is killed before its nth call. That call and
// all later ones, clean-up included, neither reach AWS nor return. The build is dead when
// the calls before it have returned: a copy that AWS has yet to begin would appear
// while the next run looks for images.
type mortal struct {
	*world
	nth   int
	mu    sync.Mutex
	made  int
	calls sync.WaitGroup
	dead  chan struct{}
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.made++
	made := m.made
	if made < m.nth {
		m.calls.Add(1)
	}
	m.mu.Unlock()
	if made >= m.nth {
		if made == m.nth {
			m.calls.Wait()
			close(m.dead)
		}
		select {}
	}
	defer m.calls.Done()
	return m.world.RoundTrip(r)
}

// kill runs a build that dies before its nth call, as after SIGKILL.
func (w *world) kill(t *testing.T, nth int, config map[string]any) {
	t.Helper()
	w.killRun(nth, func() { _, _ = w.build(t, context.Background(), config) })
}

// killRun runs a build that dies before its nth call.
func (w *world) killRun(nth int, run func()) {
	m := &mortal{world: w, nth: nth, dead: make(chan struct{})}
	w.transport = m
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run()
	}()
	select {
	case <-m.dead:
	case <-ended:
	}
	w.transport = nil
}

const resumedID = "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"

// TestKillAtEachCall kills a build at each call. The same build, run again, yields exactly
// one image and its snapshot in each region. It launches no second instance if the
// image existed.
func TestKillAtEachCall(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"plain":                 withProfile(),
		"an intermediary image": {"encrypt_boot": true},
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
				existing := w.aws.Inventory()["eu-central-1"]
				hadImage := slices.ContainsFunc(existing, func(r ec2.Resource) bool { return r.Kind == "image" })
				before := w.aws.Calls()["eu-central-1"]["RunInstances"]
				artifact, err := w.build(t, t.Context(), config)
				if err != nil {
					t.Fatalf("%v\n%s", err, w.ui.String())
				}
				images := w.oneImageEach(t, "eu-central-1", "us-east-1")
				for region, image := range images {
					if image.Name != "sweep" || image.Tags[tags.State] != tags.Released || image.Tags[tags.BuildID] != resumedID {
						t.Errorf("%s: %s: got tags %v", region, image.Name, image.Tags)
					}
					if image.Tags[tags.SourceAMI] == "" {
						t.Errorf("%s: %s: got tags %v, want the source AMI in them", region, image.ID, image.Tags)
					}
					if !strings.Contains(artifact.Id(), region+":"+image.ID) {
						t.Errorf("got artifact %s, want it to list, in %s, %s", artifact.Id(), region, image.ID)
					}
				}
				launched := w.aws.Calls()["eu-central-1"]["RunInstances"] - before
				if hadImage && launched > 0 {
					t.Errorf("got %d launched instances, want none: the image existed", launched)
				}
			})
		}
	}
}

// TestResumeCreatesMissingImage: a resumed build adopts the released images and creates the
// missing one.
func TestResumeCreatesMissingImage(t *testing.T) {
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
			t.Errorf("%s: got %s with tags %v", region, image.Name, image.Tags)
		}
	}
	for _, id := range strings.Split(first.Id(), ",") {
		if !strings.Contains(second.Id(), id) {
			t.Errorf("%s of the first run is missing from the second artifact %s", id, second.Id())
		}
	}
	if n := w.aws.Calls()["eu-central-1"]["RunInstances"]; n != 1 {
		t.Errorf("got %d launched instances, want 1", n)
	}
	if r := reportOf(t, second); !r.Resumed || len(r.FailedRegions) > 0 {
		t.Errorf("got report %+v, want resumed without failed regions", r)
	}
}

// TestRetryLaterIsResumed: running a retry-later build again repeats no work.
func TestRetryLaterIsResumed(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-west-1", State: "failed", Times: 2})
	config := map[string]any{"ami_regions": fourRegions, "on_copy_failure": "retry-later", "build_id": resumedID}
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("got no error, want one for us-west-1")
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
			t.Errorf("%s: got %d CopyImage calls, want at most %d", region, n, want)
		}
	}
}

// TestFailedResumeKeepsImages: a resumed build that fails removes only its own resources.
func TestFailedResumeKeepsImages(t *testing.T) {
	w := newWorld(t)
	config := map[string]any{"build_id": resumedID}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatal(err)
	}
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-west-2", State: "failed"})
	config["ami_regions"] = fourRegions
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("got no error, want one for us-west-2")
	}
	w.oneImageEach(t, "eu-central-1", "us-east-1")
	if !strings.Contains(w.ui.String(), " in eu-central-1, us-east-1. To create the missing images") {
		t.Errorf("the output does not list the images that it kept:\n%s", w.ui.String())
	}
}

// TestFailedResumeHoldsImages: a resumed build that fails marks the images of the killed
// build as held, so that they do not count as leaked.
func TestFailedResumeHoldsImages(t *testing.T) {
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
			t.Fatal("got no error, want one for us-west-1")
		}
		for region, resources := range w.aws.Inventory() {
			for _, r := range resources {
				if r.Kind == "image" && r.Tags[tags.State] == tags.Building || r.Leaked() {
					t.Errorf("killed before call %d: %s: got leaked %s %s in state %s", nth, region, r.Kind, r.ID, r.Tags[tags.State])
				}
			}
		}
	}
}

// TestTimeBasedCopies: snapshot_copy_duration_minutes requests a time-based copy.
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
			t.Errorf("again %v: got copy %+v", again, images["us-west-1"])
		}
		if images["us-east-1"].Tags["Mine"] != "" {
			t.Errorf("the build changed the tags of the source: %v", images["us-east-1"].Tags)
		}
		want := "us-east-1:" + images["us-east-1"].ID + ",us-west-1:" + images["us-west-1"].ID + ",us-west-2:" + images["us-west-2"].ID
		if artifact.Id() != want {
			t.Errorf("again %v: got artifact %s, want %s", again, artifact.Id(), want)
		}
		if strings.Contains(artifact.State("ethminer.removal").(string), images["us-east-1"].ID) {
			t.Error("the removal commands of the artifact include its source")
		}
	}
	calls := w.aws.Calls()
	if calls["eu-central-1"]["RunInstances"] != launched || calls["eu-central-1"]["CreateKeyPair"] != 1 || calls["us-west-1"]["CopyImage"] != 1 {
		t.Errorf("got calls %v, want a copy-only build to only copy", calls)
	}
}

func TestAdoptErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		want   string
	}{
		{"an image that does not exist", map[string]any{"source_ami_from": "ami-0123456789abcdef0"}, "source_ami_from: looking up ami-0123456789abcdef0 in eu-central-1"},
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

// recorder records the calls of a build in order, each as "region action".
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

// TestSlowRegionDelaysNoOther: a slow region delays no other region's copy. No image is
// released before the last one is available.
func TestSlowRegionDelaysNoOther(t *testing.T) {
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
			t.Errorf("%s was released before us-west-2 was available: %v", region, r.made)
		}
	}
	if calls := w.aws.Calls()["us-east-1"]; calls["CreateTags"] != 1 {
		t.Errorf("us-east-1: got %v, want one CreateTags: all other tags are set at creation", calls)
	}
}

// TestCopyParallelism: with copy_parallelism = 1, the second copy starts when the first
// is available.
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
	poll := strings.TrimSuffix(r.made[first], "CopyImage") + "Describe"
	if n := len(slices.DeleteFunc(slices.Clone(between), func(call string) bool { return !strings.HasPrefix(call, poll) })); n < 2 {
		t.Errorf("got %d polls of the first copy before the second started, want 2 or more: %v", n, r.made)
	}
}

// TestPanicLeavesNothing: a panic becomes an error, and the other steps clean up.
func TestPanicLeavesNothing(t *testing.T) {
	for _, action := range []string{"CopyImage", "CreateImage", "ModifyImageAttribute"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t)
			w.transport = panicking{w, "Action=" + action + "&"}
			artifact, err := w.build(t, t.Context(), map[string]any{"ami_users": []string{"444455556666"}})
			if artifact != nil || err == nil || !strings.Contains(err.Error(), "a bug in this plugin") {
				t.Errorf("got artifact %v and error %v, want only the panic as an error", artifact, err)
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
		panic("injected")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return p.world.RoundTrip(r)
}

// TestImageTags: the user's tags override the builder's, except those that a sweep
// relies on. The builder's tags are dropped if they exceed the limit.
func TestImageTags(t *testing.T) {
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
			t.Errorf("%s: got %d tags: %v", region, len(image.Tags), image.Tags)
		}
	}
}
