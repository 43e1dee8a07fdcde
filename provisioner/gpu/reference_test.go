// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
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
		// Generating the light cache takes a while on a busy machine.
		"benchmark_start_timeout": "5m",
		"benchmark_duration":      "3s",
		"min_hashrate":            "0.01 h/s",
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if !regexp.MustCompile(`hash rate: [0-9.]+ K?h/s \(CPU: .*, epoch 0, 3(\.\d)? s window, reference miner\)`).MatchString(said) {
		t.Errorf("got output:\n%s", said)
	}
	report, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
	if err != nil || !report.Reference || !strings.HasPrefix(report.Miner, "ethminer 0.19") || report.Hashrate <= 0 || report.Samples == 0 {
		t.Errorf("got report %+v, %v", report, err)
	}
}

// TestTwoBenchmarksAgree: two benchmarks of one miner on one machine agree within their
// spread, as the ranges from the 5th to the 95th percentile overlap. They run
// concurrently, each on its share of the cores, since the load of a shared machine
// changes within half a minute (docs/benchmarks/miner.md).
func TestTwoBenchmarksAgree(t *testing.T) {
	binary := referenceMiner(t)
	measure := func() (miner.Report, error) {
		in := newInstance(t, tools())
		said, err := provision(t, t.Context(), in, map[string]any{
			"source": minerSource(t, binary), "benchmark_start_timeout": "5m", "benchmark_duration": "15s",
		})
		if err != nil {
			return miner.Report{}, fmt.Errorf("%w\n%s", err, said)
		}
		return miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
	}
	for range 3 {
		var a, b miner.Report
		var errA, errB error
		var both sync.WaitGroup
		both.Go(func() { a, errA = measure() })
		both.Go(func() { b, errB = measure() })
		both.Wait()
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s (%s to %s, varies by %.1f %%), %s (%s to %s, varies by %.1f %%)", a.Hashrate, a.P5, a.P95, 100*a.Variation, b.Hashrate, b.P5, b.P95, 100*b.Variation)
		if a.P5 <= b.P95 && b.P5 <= a.P95 {
			return
		}
	}
	t.Error("got no two benchmarks that agree")
}
