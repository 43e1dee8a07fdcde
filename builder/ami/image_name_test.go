// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"strings"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// EC2 frees the name of a deregistered image a while later. A build waits for the
// names of the images that it has deregistered itself.
func TestFreedNames(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, build map[string]any
		fault, later  *rehearsal.Fault // for each of both builds
		fails         bool             // the build before
	}{
		{name: "force_deregister", before: map[string]any{}, build: map[string]any{"force_deregister": true, "force_delete_snapshot": true}},
		{name: "a failed copy", later: &rehearsal.Fault{CopyRegion: "us-east-1", State: "failed", Times: 1}},
		{name: "a failed image", later: &rehearsal.Fault{ImageRegion: "eu-central-1", State: "failed", Times: 1}},
		{
			name: "a failed copy of a resumed build", before: map[string]any{"build_id": resumedID, "on_copy_failure": "retry-later"}, build: map[string]any{"build_id": resumedID},
			fault: &rehearsal.Fault{CopyRegion: "us-east-1", State: "failed", Times: 2}, fails: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: pace.Profile{Name: 50 * time.Millisecond}})
			w.patience.Tries, w.patience.Least, w.patience.Most = 200, time.Millisecond, time.Millisecond
			if test.before != nil {
				if test.fault != nil {
					w.aws.AddFault(*test.fault)
				}
				if _, err := w.build(t, t.Context(), test.before); (err != nil) != test.fails {
					t.Fatalf("%v\n%s", err, w.ui.String())
				}
			}
			if test.later != nil {
				w.aws.AddFault(*test.later)
			}
			if _, err := w.build(t, t.Context(), test.build); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
				if image.Name != "sweep" {
					t.Errorf("%s has %q", region, image.Name)
				}
			}
			if !strings.Contains(w.ui.String(), "InvalidAMIName.Duplicate") {
				t.Errorf("the build says nothing of the wait for the name:\n%s", w.ui.String())
			}
		})
	}
}

// The name of another image is no reason to wait.
func TestNameInUse(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before := maps.Clone(w.aws.Calls()["eu-central-1"])
	if _, err := w.build(t, t.Context(), map[string]any{"preflight": "off"}); err == nil || !strings.Contains(err.Error(), "InvalidAMIName.Duplicate") {
		t.Errorf("got %v, want that the name is in use", err)
	}
	if n := w.aws.Calls()["eu-central-1"]["CreateImage"] - before["CreateImage"]; n != 1 {
		t.Errorf("CreateImage was called %d times, want 1", n)
	}
}

// A disabled image keeps its name: the preflight finds it, and force_deregister
// replaces it.
func TestNameOfDisabledImage(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		if _, err := w.client(region).DisableImage(t.Context(), &awsec2.DisableImageInput{ImageId: &image.ID}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.build(t, t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "which is in use in us-east-1 by ami-") || !strings.Contains(err.Error(), "(disabled)") {
		t.Errorf("got %v, want that disabled images have the name", err)
	}
	if n := w.aws.Calls()["eu-central-1"]["RunInstances"]; n != 1 {
		t.Errorf("%d instances were launched, want that of the first build", n)
	}
	if _, err := w.build(t, t.Context(), map[string]any{"force_deregister": true, "force_delete_snapshot": true}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for region, image := range w.oneImageEach(t, "eu-central-1", "us-east-1") {
		if image.State != "available" || image.Name != "sweep" {
			t.Errorf("%s has %+v", region, image)
		}
	}
}
