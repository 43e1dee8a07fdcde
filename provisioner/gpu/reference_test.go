// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// TestReferenceMiner builds and measures the real reference miner with the real
// tools; only systemctl is a stand-in.
func TestReferenceMiner(t *testing.T) {
	for _, tool := range []string{"cmake", "c++", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: needs %s: apt-get install cmake g++ make", tool)
		}
	}
	in := newInstance(t, map[string]string{"systemctl": "exit 0\n"})
	said, err := provision(t, t.Context(), in, map[string]any{
		"source": "../../example/miner",
		"device": "cpu",
		// A light cache is made first, which a busy machine takes a while for.
		"benchmark_start_timeout": "5m",
		"benchmark_duration":      "3s",
		"min_hashrate":            "0.01 h/s",
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if !regexp.MustCompile(`hash rate: [0-9.]+ K?h/s \(CPU: .*, epoch 0, 3(\.\d)? s window, reference miner\)`).MatchString(said) {
		t.Errorf("the user saw:\n%s", said)
	}
	report, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
	if err != nil || !report.Reference || !strings.HasPrefix(report.Miner, "ethminer 0.19") || report.Hashrate <= 0 || report.Samples == 0 {
		t.Errorf("report %+v, %v", report, err)
	}
}
