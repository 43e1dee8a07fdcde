// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

var force = map[string]any{"force_deregister": true, "force_delete_snapshot": true, "build_id": resumedID}

// withOld is a world where the name is taken in both regions.
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

// neverWithout fails where a region has neither the old image under its name
// nor a new one that is available, whole and released.
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
			t.Errorf("%s has neither %s nor a released image of the new build\n--- the build said:\n%s", region, was.ID, w.ui.String())
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
			t.Errorf("%s has %+v, the artifact is %s", region, image, artifact.Id())
		}
	}
}

// The old image goes only when the new one is good in all regions.
func TestReplaceWaitsForAllRegions(t *testing.T) {
	w, old := withOld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	if _, err := w.build(t, t.Context(), force); err == nil {
		t.Fatal("the build succeeded without us-east-1")
	}
	for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		if image.ID != old[region].ID {
			t.Errorf("%s has %s, want the old %s", region, image.ID, old[region].ID)
		}
	}
}

// Whatever single call is refused, whenever the build is cancelled or killed:
// each region has the old image or the new one, and a build that fails says
// which new ones stay. Another run makes the rest.
func TestSweepOfReplacing(t *testing.T) {
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
								t.Errorf("%s has %s, of which the build said nothing:\n%s", region, r.ID, w.ui.String())
							}
						}
					}
				}
				if _, err := w.build(t, t.Context(), force); err != nil {
					t.Fatalf("resuming: %v\n%s", err, w.ui.String())
				}
				for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
					if image.Name != "sweep" || image.Tags[tags.BuildID] != resumedID || image.Tags[tags.State] != tags.Released {
						t.Errorf("%s has %+v", region, image)
					}
				}
			})
		}
	}
}
