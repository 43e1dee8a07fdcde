// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

func TestWarmUp(t *testing.T) {
	const limit = 90 // seconds; a steady miner ends the warm-up much earlier
	for _, test := range []struct {
		name, miner, warmup string
		stable              bool
	}{
		{"a steady rate ends it", prints(" m 16:39:20 ethminer 0:00 A0 5.00 Kh - cp0 5.00"), "90s", true},
		{"an unsteady rate does not end it", "#!/bin/sh\n" + versionLine + "i=1\nwhile :; do echo \" m 16:39:20 ethminer 0:00 A0 $i.00 Kh - cp0 $i.00\"; i=$((i + 1)); sleep 0.1; done\n", "2s", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tools())
			said, err := provision(t, t.Context(), in, map[string]any{"source": minerSource(t, test.miner), "benchmark_warmup": test.warmup, "benchmark_api": false})
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			report, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
			if err != nil || report.Stable != test.stable || report.WarmupSeconds >= limit/2 {
				t.Errorf("got stable %v after %v s, %v", report.Stable, report.WarmupSeconds, err)
			}
			if told := strings.Contains(said, "was not stable after 2s"); told == test.stable {
				t.Errorf("got warning about an unstable rate: %v\n%s", told, said)
			}
		})
	}
}
