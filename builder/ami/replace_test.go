// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

var force = map[string]any{"force_deregister": true, "force_delete_snapshot": true, "build_id": resumedID}

// withOld returns a world where the name is in use in both regions.
func withOld(t *testing.T) (w *world, old map[string]ec2.Resource) {
	t.Helper()
	w = newWorld(t)
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	old = w.oneImageEach(t, "eu-central-1", "us-east-1")
	w.calls = 0
	return w, old
}

// neverWithout checks that each region has the old image, or a new one that is available,
// complete and released.
func (w *world) neverWithout(t *testing.T, old map[string]ec2.Resource) {
	t.Helper()
	inventory := w.aws.Inventory()
	for region, was := range old {
		snapshots := map[string]bool{}
		for _, r := range inventory[region] {
			snapshots[r.ID] = r.Kind == "snapshot"
		}
		if !slices.ContainsFunc(inventory[region], func(r ec2.Resource) bool {
			whole := r.Kind == "image" && r.State == "available" && len(r.Snapshots) == 1 && snapshots[r.Snapshots[0]]
			return whole && (r.ID == was.ID || r.Tags[tags.BuildID] == resumedID && r.Tags[tags.State] == tags.Released)
		}) {
			t.Errorf("%s: want %s or a released image of the new build\n--- build output:\n%s", region, was.ID, w.ui.String())
		}
	}
}

func TestReplace(t *testing.T) {
	w, old := withOld(t)
	artifact, err := w.build(t, t.Context(), force)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		if image.Name != "sweep" || image.ID == old[region].ID || image.Tags[tags.Name] != "" || !strings.Contains(artifact.Id(), image.ID) {
			t.Errorf("%s: got %+v, artifact %s", region, image, artifact.Id())
		}
	}
}

// TestReplaceEndsWhenFound: EC2 finds the images of the artifact, also where it finds new
// ones late.
func TestReplaceEndsWhenFound(t *testing.T) {
	w := newWorld(t)
	w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: pace.Profile{NotFound: 300 * time.Millisecond}})
	t.Cleanup(func() { _ = w.aws.Close() })
	for range 2 {
		artifact, err := w.build(t, t.Context(), map[string]any{"force_deregister": true})
		if err != nil {
			t.Fatalf("%v\n%s", err, w.ui.String())
		}
		for _, image := range strings.Split(artifact.Id(), ",") {
			region, id, _ := strings.Cut(image, ":")
			if _, err := w.client(region).DescribeImages(t.Context(), &sdk.DescribeImagesInput{ImageIds: []string{id}}); err != nil {
				t.Errorf("%s: %v", region, err)
			}
		}
	}
}

// An image that is registered again keeps the encryption of a blank volume, which no
// snapshot records.
func TestReplaceKeepsEncryptionOfBlankVolumes(t *testing.T) {
	w, _ := withOld(t)
	config := maps.Clone(force)
	config["ami_block_device_mappings"] = []map[string]any{
		{"device_name": "/dev/sdf", "volume_size": 8, "encrypted": true, "delete_on_termination": true},
		{"device_name": "/dev/sdg", "volume_size": 8, "delete_on_termination": true},
	}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for region := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		images, err := w.client(region).DescribeImages(t.Context(), &sdk.DescribeImagesInput{Owners: []string{"self"}})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, device := range images.Images[0].BlockDeviceMappings {
			got[*device.DeviceName] = *device.Ebs.Encrypted
		}
		if want := (map[string]bool{"/dev/sda1": false, "/dev/sdf": true, "/dev/sdg": false}); !maps.Equal(got, want) {
			t.Errorf("%s: encrypted are %v, want %v", region, got, want)
		}
	}
}

// TestReplaceWaitsForAllRegions: the old images are deleted only when all regions have
// the new one.
func TestReplaceWaitsForAllRegions(t *testing.T) {
	w, old := withOld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	if _, err := w.build(t, t.Context(), force); err == nil {
		t.Fatal("got no error, want one for us-east-1")
	}
	for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		if image.ID != old[region].ID {
			t.Errorf("%s: got %s, want the old %s", region, image.ID, old[region].ID)
		}
	}
}

// TestReplaceFailureAtEachCall refuses each call, and cancels or kills the build at it. Each
// region keeps the old image or has the new one. A failed build reports the new images
// that it keeps, and another run completes the replacement.
func TestReplaceFailureAtEachCall(t *testing.T) {
	clean, _ := withOld(t)
	if _, err := clean.build(t, t.Context(), force); err != nil {
		t.Fatal(err)
	}
	for nth := 1; nth <= clean.calls; nth++ {
		for name, harm := range map[string]func(*testing.T, *world) error{
			"refused": func(t *testing.T, w *world) error {
				w.aws.AddFault(rehearsal.Fault{Nth: nth, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
				_, err := w.build(t, t.Context(), force)
				w.aws.ClearFaults()
				return err
			},
			"cancelled": func(t *testing.T, w *world) error {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.onCall = func(now int) {
					if now == nth {
						cancel()
					}
				}
				_, err := w.build(t, ctx, force)
				w.onCall = nil
				return err
			},
			"killed": func(t *testing.T, w *world) error {
				w.kill(t, nth, force)
				return nil
			},
		} {
			t.Run(fmt.Sprintf("call %d %s", nth, name), func(t *testing.T) {
				t.Parallel()
				w, old := withOld(t)
				err := harm(t, w)
				w.neverWithout(t, old)
				if err != nil {
					for region, resources := range w.aws.Inventory() {
						for _, r := range resources {
							if r.Kind == "image" && r.ID != old[region].ID && !strings.Contains(w.ui.String(), r.ID) {
								t.Errorf("%s: got unreported image %s:\n%s", region, r.ID, w.ui.String())
							}
						}
					}
				}
				if _, err := w.build(t, t.Context(), force); err != nil {
					t.Fatalf("resuming: %v\n%s", err, w.ui.String())
				}
				for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
					if image.Name != "sweep" || image.Tags[tags.BuildID] != resumedID || image.Tags[tags.State] != tags.Released {
						t.Errorf("%s: got %+v, want a released image of the new build", region, image)
					}
				}
			})
		}
	}
}
