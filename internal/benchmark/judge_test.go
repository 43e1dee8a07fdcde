// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// good returns a passing benchmark of four T4.
func good() miner.Report {
	r := miner.Report{
		Device: "cuda", GPUs: []string{"Tesla T4", "Tesla T4", "Tesla T4", "Tesla T4"}, Block: 11_700_000, Epoch: 390, DAGBytes: 4345297536,
		WindowSeconds: 60, Samples: 60, Hashrate: 100e6, Last: 100e6, Min: 99e6, Max: 101e6, P5: 99.2e6, P95: 100.8e6, Variation: 0.005,
		Limit: 156.25e6, LimitShare: 0.64, Accepted: 3,
	}
	for _, name := range []string{"cu0", "cu1", "cu2", "cu3"} {
		r.Devices = append(r.Devices, miner.DeviceReport{Name: name, Samples: 60, Hashrate: 25e6, Last: 25e6})
	}
	return r
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*miner.Report)
		want   []string // parts of the error; none if it passes
	}{
		{"a passing benchmark", func(*miner.Report) {}, nil},
		{"exactly at the floors", func(r *miner.Report) {
			r.Floor, r.FloorPerGPU, r.LeastLimitShare, r.MostVariation = r.Hashrate, 25e6, r.LimitShare, r.Variation
		}, nil},
		{"no status line", func(r *miner.Report) { r.Samples = 0 }, []string{"printed no status line over 60 s", "expected one per second"}},
		{"zero", func(r *miner.Report) { r.Hashrate = 0 }, []string{"measured 0.00 h/s", "expected a rate above zero"}},
		{"stops in the last third", func(r *miner.Report) { r.Last = 0 }, []string{"measured 100.0 Mh/s", "but 0.00 h/s at the end", "stopped mining"}},
		{"hangs in the last third", func(r *miner.Report) { r.SilentSeconds = 20 }, []string{"its last status line 20 s before the end", "the miner hangs"}},
		{"a device fails within the window", func(r *miner.Report) { r.Failures = []string{"CUDA error"} }, []string{`a device failed`, `"CUDA error"`}},
		{"one of four stops", func(r *miner.Report) { r.Devices[1].Last = 0 }, []string{"cu1 stopped mining: it reached 25.00 Mh/s", "nothing at the end"}},
		{"one of four is silent", func(r *miner.Report) { r.Devices[2].Hashrate = 0 }, []string{"cu2 mined nothing, while all devices together reached 100.0 Mh/s", "epoch 390", "dmesg"}},
		{"a CPU core that other programs kept busy", func(r *miner.Report) { r.Device = "cpu"; r.Devices[2].Hashrate = 0 }, nil},
		{"one of four is not named", func(r *miner.Report) { r.Devices = r.Devices[:3] }, []string{"the instance has 4 GPUs", "names only cu0, cu1, cu2"}},
		{"a miner that names no device", func(r *miner.Report) { r.Devices = nil }, nil},
		{"one of four is slow", func(r *miner.Report) { r.FloorPerGPU = 24e6; r.Devices[3].Hashrate = 12e6 },
			[]string{"cu3 reached 12.00 Mh/s (50 % of the minimum)", "min_hashrate_per_gpu 24.00 Mh/s", "cu0 25.00 Mh/s, cu1"}},
		{"incorrect", func(r *miner.Report) { r.Incorrect = 2 }, []string{"2 of its solutions were incorrect", "replace the instance"}},
		{"rejected", func(r *miner.Report) { r.Rejected = 1 }, []string{"1 of its solutions were rejected", "wrong DAG or algorithm"}},
		{"under the floor", func(r *miner.Report) { r.Floor = 200e6 }, []string{"measured 100.0 Mh/s (50 % of the minimum)", "min_hashrate 200.0 Mh/s", "4 x Tesla T4"}},
		{"below the share of the limit", func(r *miner.Report) { r.LeastLimitShare = 0.8 }, []string{"64 % of the 156.3 Mh/s that the memory bandwidth allows", "min_limit_share 0.8"}},
		{"unsteady", func(r *miner.Report) { r.MostVariation, r.Variation = 0.05, 0.21 }, []string{"varies by 21.0 %", "max_variation 0.05", "benchmark_warmup"}},
	} {
		r := good()
		test.change(&r)
		err := Judge(r)
		if (err == nil) != (len(test.want) == 0) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q lacks %q", test.name, err, part)
			}
		}
	}
}
