// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"fmt"
	"math"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// apiTolerance is the allowed difference between the rates of API and log, as
// a fraction of the log's. Both read the same counter at different times, so
// an unsteady rate is allowed twice its variation.
const apiTolerance = 0.1

// FillAPI writes the API's responses into a report. The error is the API's if it
// never responded.
func (o Observed) FillAPI(r *miner.Report) error {
	rates := make([]miner.Rate, len(o.stats))
	for i, s := range o.stats {
		rates[i] = s.Rate
		r.APIStep = s.Step * miner.Rate(max(1, len(s.Devices)))
		r.Rejected = max(r.Rejected, s.Rejected)
	}
	summary := miner.Summarize(rates)
	r.APISamples, r.APIHashrate = summary.Samples, summary.Median
	if len(o.stats) == 0 {
		return o.unanswered
	}
	return nil
}

// judgeAPI returns an error if log and API report different rates. CPUs are
// exempt: other programs make their rates fluctuate.
func judgeAPI(r miner.Report) error {
	if r.APISamples < apiLeast || r.Device == miner.DeviceCPU {
		return nil
	}
	tolerance := max(apiTolerance, 2*r.Variation)*float64(r.Hashrate) + float64(r.APIStep)
	if math.Abs(float64(r.APIHashrate-r.Hashrate)) <= tolerance {
		return nil
	}
	return fmt.Errorf("measured %s by the miner's log, the median of %d collections, and %s by its API, the median of %d responses; expected them to differ by less than %s; one of them is wrong: check the log, or set benchmark_api = false if the miner's API is known to be wrong",
		r.Hashrate, r.Samples, r.APIHashrate, r.APISamples, miner.Rate(tolerance))
}
