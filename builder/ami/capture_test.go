// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
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

// However the image is captured, it is whole, the instance stops being billed
// before the image is there (where it can be stopped), and is gone at the end.
// The rehearsal fails an image whose instance is stopped before its snapshots
// are begun.
func TestCapture(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		order  []string // of calls
		stops  bool     // before the image is there
	}{
		{"stop", nil, []string{"StopInstances", "CreateImage", "TerminateInstances", "CopyImage"}, true},
		{"reboot", map[string]any{"capture": "reboot"}, []string{"CreateImage", "StopInstances", "TerminateInstances", "CopyImage"}, true},
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
				t.Errorf("the calls were %v, want %v", order, test.order)
			}
			usage := w.aws.Usage()[0]
			if stopped := usage.HeldSeconds-usage.BilledSeconds > 0.5; stopped != test.stops {
				t.Errorf("billed for %v s of %v s, while the image took 1 s", usage.BilledSeconds, usage.HeldSeconds)
			}
			report := reportOf(t, artifact)
			if report.BilledSeconds < usage.BilledSeconds || report.BilledSeconds > usage.BilledSeconds+2 {
				t.Errorf("reported %v s, billed %v s", report.BilledSeconds, usage.BilledSeconds)
			}
		})
	}
}

// A build says what its instance has cost, where a price is known.
func TestTheCostIsSaid(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"prices": map[string]any{"g4dn.xlarge": 0.6}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if text := w.ui.String(); !strings.Contains(text, "at $0.60 an hour about $0.01") {
		t.Errorf("the build does not say what the instance has cost:\n%s", text)
	}
	if r := reportOf(t, artifact); r.CostUSD != 0.01 { // for a minute, EC2's least
		t.Errorf("cost_usd is %v, want 0.01", r.CostUSD)
	}
}

// That the instance cannot be stopped early costs money, and no image; and
// whenever such a build is cancelled, it leaves nothing.
func TestCaptureFailures(t *testing.T) {
	for _, action := range []string{"DescribeSnapshots", "StopInstances"} {
		t.Run(action+" is refused", func(t *testing.T) {
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"})
			if _, err := w.build(t, t.Context(), map[string]any{"capture": "reboot"}); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1")
			if !strings.Contains(w.ui.String(), "runs on until its image is there: ") {
				t.Errorf("the build does not say that the instance runs on:\n%s", w.ui.String())
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
				t.Errorf("got %v and %v, want that it was cancelled", artifact, err)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("left behind:\n%s\n--- the build said:\n%s", strings.Join(left, "\n"), w.ui.String())
			}
		})
	}
}

// cancelling cancels a build once it has been answered a call.
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

// What takes longer than aws_polling allows ends the build, by name, and
// nothing is left of it.
func TestATimeoutLeavesNothing(t *testing.T) {
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
				t.Errorf("left behind:\n%s\n--- the build said:\n%s", strings.Join(left, "\n"), w.ui.String())
			}
		})
	}
}
