// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

func TestJudgeAPI(t *testing.T) {
	for _, test := range []struct {
		name string
		r    miner.Report
		good bool
	}{
		{"no response", miner.Report{Hashrate: 25e6}, true},
		{"within a tenth", miner.Report{Hashrate: 25e6, APIHashrate: 27e6, APISamples: 9}, true},
		{"beyond", miner.Report{Hashrate: 25e6, APIHashrate: 28e6, APISamples: 9}, false},
		{"below", miner.Report{Hashrate: 25e6, APIHashrate: 22e6, APISamples: 9}, false},
		{"an unsteady rate", miner.Report{Hashrate: 25e6, APIHashrate: 28e6, APISamples: 9, Variation: 0.1}, true},
		{"whole kH/s of a slow miner", miner.Report{Hashrate: 480, APIHashrate: 0, APISamples: 9, APIStep: 1000}, true},
		{"two samples are too few", miner.Report{Hashrate: 25e6, APIHashrate: 28e6, APISamples: 2}, true},
		{"a CPU", miner.Report{Device: "cpu", Hashrate: 480, APIHashrate: 900, APISamples: 9}, true},
	} {
		if err := judgeAPI(test.r); (err == nil) != test.good {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
