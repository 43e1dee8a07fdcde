// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

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
	images := map[string]ec2.Resource{}
	inventory := w.aws.Inventory()
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
			t.Errorf("%s has %v, want one image and its snapshot", region, inventory[region])
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
		"the copy is refused":        {Action: "CopyImage", Region: "us-west-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden},
		"the image cannot be shared": {Action: "ModifyImageAttribute", Region: "us-west-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden},
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

func TestKeepIsNoExcuseForHavingNothing(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	_, err := w.build(t, t.Context(), map[string]any{"on_copy_failure": "keep", "skip_save_build_region": true})
	if err == nil {
		t.Error("a build without any image succeeded")
	}
	w.oneImageEach(t)
}

func TestRetryLater(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
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
