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
