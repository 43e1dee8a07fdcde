// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// captures are the ways to create an image.
var captures = map[string]map[string]any{
	"stop": nil, "reboot": {"capture": "reboot"}, "no-reboot": {"capture": "no-reboot"},
	"spot": {"spot_price": "auto", "availability_zone": "eu-central-1a"}, "an intermediary": {"encrypt_boot": true},
}

// TestFailedImageIsCreatedAgain: an image that fails is removed and created once more
// from the same instance.
func TestFailedImageIsCreatedAgain(t *testing.T) {
	for name, config := range captures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: pace.Profile{
				Stopped: 50 * time.Millisecond, Reboot: 10 * time.Millisecond, Image: 50 * time.Millisecond, Name: 20 * time.Millisecond,
			}})
			w.patience.Tries, w.patience.Least, w.patience.Most = 200, time.Millisecond, time.Millisecond
			r := &recorder{world: w}
			w.transport = r
			w.aws.AddFault(rehearsal.Fault{ImageRegion: "eu-central-1", State: "failed", Times: 1})
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			if n := strings.Count(w.ui.String(), "creating the image again"); n != 1 {
				t.Errorf("got %d lines about the failure, want 1:\n%s", n, w.ui.String())
			}
			var order []string
			for _, call := range r.made {
				_, action, _ := strings.Cut(call, " ")
				if slices.Contains([]string{"RunInstances", "CreateImage", "DeregisterImage", "TerminateInstances"}, action) && !slices.Contains(order[max(0, len(order)-1):], action) {
					order = append(order, action)
				}
			}
			if want := []string{"RunInstances", "CreateImage", "DeregisterImage", "CreateImage", "TerminateInstances"}; len(order) < len(want) || !slices.Equal(order[:len(want)], want) {
				t.Errorf("the calls were %v, want %v", order, want)
			}
		})
	}
}

// TestImageFailsTwice: an image that fails twice ends the build, which leaves nothing.
func TestImageFailsTwice(t *testing.T) {
	for name, config := range captures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{ImageRegion: "eu-central-1", State: "failed", Message: "no such key"})
			if _, err := w.build(t, t.Context(), config); err == nil || !strings.Contains(err.Error(), "no such key") {
				t.Errorf("got %v, want the reason of the failure", err)
			}
			if n := w.aws.Calls()["eu-central-1"]["CreateImage"]; n != 2 {
				t.Errorf("got %d CreateImage calls, want 2", n)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("got leftovers:\n%s\n--- build output:\n%s", strings.Join(left, "\n"), w.ui.String())
			}
		})
	}
}

// TestResumeRemovesFailedIntermediary: a failed intermediary of an earlier run, which it
// could not remove, is removed before the image is created again.
func TestResumeRemovesFailedIntermediary(t *testing.T) {
	w := newWorld(t)
	config := map[string]any{"encrypt_boot": true, "build_id": "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"}
	w.aws.AddFault(rehearsal.Fault{ImageRegion: "eu-central-1", State: "failed"})
	w.aws.AddFault(rehearsal.Fault{Action: "DeregisterImage", Code: "UnauthorizedOperation"})
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("got no error, want one for the failed image")
	}
	if left := strings.Join(w.left(), "\n"); !strings.Contains(left, " image ") {
		t.Fatalf("want a failed image, got:\n%s", left)
	}
	w.aws.ClearFaults()
	w.aws.AddFault(rehearsal.Fault{ImageRegion: "eu-central-1"})
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	w.oneImageEach(t, "eu-central-1", "us-east-1")
}
