// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// TestCapture: every capture mode yields a complete image, ends billing before the image
// is available where the instance can be stopped, and terminates the instance. The
// rehearsal fails an image whose instance stops before its snapshots start.
func TestCapture(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		order  []string // of calls
		stops  bool     // before the image is available
	}{
		{"stop", nil, []string{"StopInstances", "CreateImage", "TerminateInstances", "CopyImage"}, true},
		{"reboot", map[string]any{"capture": "reboot"}, []string{"CreateImage", "StopInstances", "TerminateInstances", "CopyImage"}, true},
		{"no-reboot", map[string]any{"capture": "no-reboot"}, []string{"CreateImage", "StopInstances", "TerminateInstances", "CopyImage"}, true},
		{"spot, no-reboot", map[string]any{"spot_price": "auto", "capture": "no-reboot"}, []string{"CreateImage", "TerminateInstances", "CopyImage"}, false},
		{"spot", map[string]any{"spot_price": "auto"}, []string{"CreateImage", "TerminateInstances", "CopyImage"}, false},
		{"spot, reboot", map[string]any{"spot_price": "auto", "capture": "reboot"}, []string{"CreateImage", "TerminateInstances", "CopyImage"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: pace.Profile{
				Stopped: 300 * time.Millisecond, Reboot: 200 * time.Millisecond, Image: time.Second, Copy: time.Millisecond, Progress: pace.Linear,
			}})
			r := &recorder{world: w}
			w.transport = r
			artifact, err := w.build(t, t.Context(), test.config)
			if err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			var order []string
			for _, call := range r.made {
				if _, action, _ := strings.Cut(call, " "); slices.Contains([]string{"StopInstances", "CreateImage", "TerminateInstances", "CopyImage"}, action) {
					order = append(order, action)
				}
			}
			if !slices.Equal(order, test.order) {
				t.Errorf("got calls %v, want %v", order, test.order)
			}
			usage := w.aws.Usage()[0]
			if stopped := usage.HeldSeconds-usage.BilledSeconds > 0.5; stopped != test.stops {
				t.Errorf("got %v s billed of %v s; the image takes 1 s", usage.BilledSeconds, usage.HeldSeconds)
			}
			report := reportOf(t, artifact)
			want, _ := test.config["capture"].(string)
			if want == "" && len(test.order) == 3 {
				want = "reboot"
			}
			if report.Capture != cmp.Or(want, "stop") {
				t.Errorf("the report's capture is %q, want %q", report.Capture, cmp.Or(want, "stop"))
			}
			if risky := strings.Contains(artifact.String(), "without a reboot"); risky != (want == "no-reboot") {
				t.Errorf("the artifact says %q", artifact.String())
			}
			if report.BilledSeconds < usage.BilledSeconds || report.BilledSeconds > usage.BilledSeconds+2 {
				t.Errorf("got %v s reported, want the billed %v s", report.BilledSeconds, usage.BilledSeconds)
			}
		})
	}
}

// TestCaptureWithoutReboot: the request and its dry run ask for no reboot.
func TestCaptureWithoutReboot(t *testing.T) {
	for _, test := range []struct {
		name     string
		config   map[string]any
		noReboot string
	}{
		{"no-reboot", map[string]any{"capture": "no-reboot"}, "true"},
		{"no-reboot on spot", map[string]any{"capture": "no-reboot", "spot_price": "auto"}, "true"},
		{"reboot", map[string]any{"capture": "reboot"}, ""},
		{"stop", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newListing(t)
			if _, err := w.build(t, t.Context(), test.config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			forms := w.made["CreateImage"]
			if len(forms) != 2 {
				t.Fatalf("%d requests, want a dry run and the call", len(forms))
			}
			for _, form := range forms {
				if got := form.Get("NoReboot"); got != test.noReboot {
					t.Errorf("dry run %q: NoReboot is %q, want %q", form.Get("DryRun"), got, test.noReboot)
				}
			}
		})
	}
}

// TestCostIsReported: a build reports the cost of its instance if a price is known.
func TestCostIsReported(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"prices": map[string]any{"g4dn.xlarge": 0.6}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if text := w.ui.String(); !strings.Contains(text, "about $0.01 at $0.60 per hour") {
		t.Errorf("the output does not state the cost of the instance:\n%s", text)
	}
	if r := reportOf(t, artifact); r.CostUSD != 0.01 { // for one minute, EC2's minimum
		t.Errorf("got cost_usd %v, want 0.01", r.CostUSD)
	}
}

// TestCaptureFailures: a build that cannot stop its instance early still creates the
// images. A build that is cancelled meanwhile leaves nothing.
func TestCaptureFailures(t *testing.T) {
	for _, action := range []string{"DescribeSnapshots", "StopInstances"} {
		t.Run(action+" is refused", func(t *testing.T) {
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"})
			if _, err := w.build(t, t.Context(), map[string]any{"capture": "reboot"}); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			if !strings.Contains(w.ui.String(), "keeps running until its image is available: ") {
				t.Errorf("the output does not say that the instance keeps running:\n%s", w.ui.String())
			}
		})
	}
	for _, after := range []string{"CreateImage", "StopInstances"} {
		t.Run("cancelled after "+after, func(t *testing.T) {
			w := newWorld(t)
			w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: pace.Profile{Reboot: 50 * time.Millisecond, Image: time.Minute}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.transport = cancelling{w, "Action=" + after + "&", cancel}
			if artifact, err := w.build(t, ctx, map[string]any{"capture": "reboot"}); artifact != nil || err == nil {
				t.Errorf("got artifact %v and error %v, want only a cancellation error", artifact, err)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("got leftover resources, want none:\n%s\n--- build output:\n%s", strings.Join(left, "\n"), w.ui.String())
			}
		})
	}
}

// cancelling cancels a build after the response to a call.
type cancelling struct {
	world  *world
	part   string // of the call's body
	cancel func()
}

func (c cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := c.world.RoundTrip(r)
	if bytes.Contains(body, []byte(c.part)) {
		c.cancel()
	}
	return answer, err
}

// TestTimeoutLeavesNothing: an operation that exceeds aws_polling fails the build, is
// named in the error, and leaves nothing behind.
func TestTimeoutLeavesNothing(t *testing.T) {
	for what, slow := range map[string]pace.Profile{
		"to run": {Running: time.Hour}, "to stop": {Stopped: time.Hour},
		"ami-": {Image: time.Hour}, "in us-east-1": {Copy: time.Hour},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: slow})
			_, err := w.build(t, t.Context(), map[string]any{"aws_polling": map[string]any{"delay_seconds": 1, "max_attempts": 3}})
			var timeout *poll.TimeoutError
			if !errors.As(err, &timeout) || !strings.Contains(err.Error(), what) {
				t.Errorf("got %v, want a timeout that names %q", err, what)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("got leftover resources, want none:\n%s\n--- build output:\n%s", strings.Join(left, "\n"), w.ui.String())
			}
		})
	}
}
