// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

const (
	// apiLeast is how many answers it takes to hold them against the log.
	apiLeast = 3
	// apiBound is how long one may take.
	apiBound = 10 * time.Second
	// apiTolerance is by how much of the log's rate the API's may differ. Both
	// are of the same counter at other moments, so an unsteady rate is given
	// twice its variation.
	apiTolerance = 0.1
)

// apiPort is a port for the miner's API, of those that nobody registers and
// Linux gives to no connection on its own.
func apiPort() int { return 20000 + rand.IntN(10000) }

// apiArgs bind the API to loopback, to be read only.
func (r *run) apiArgs() []string {
	if r.config.BenchmarkAPI.False() {
		return nil
	}
	if r.port == 0 {
		r.port = apiPort()
	}
	return []string{"--api-bind", "127.0.0.1:-" + strconv.Itoa(r.port)}
}

// askAPI asks the miner's API once.
func (r *run) askAPI(ctx context.Context) (miner.Stat, error) {
	a, err := r.ask(ctx, script{name: "api", args: []string{strconv.Itoa(r.port)}, bound: apiBound})
	if err != nil {
		return miner.Stat{}, err
	}
	return miner.BestStat(a.facts["api"]...)
}

// fillAPI writes what the API has said into the report.
func (r *run) fillAPI(o observed) {
	rates := make([]miner.Rate, len(o.stats))
	for i, s := range o.stats {
		rates[i] = s.Rate
		r.report.APIStep = s.Step * miner.Rate(max(1, len(s.Devices)))
		r.report.Rejected = max(r.report.Rejected, s.Rejected)
	}
	summary := miner.Summarize(rates)
	r.report.APISamples, r.report.APIHashrate = summary.Samples, summary.Median
	if len(o.stats) == 0 && o.unanswered != nil {
		r.ui.Sayf("benchmark: the rate is from the miner's log alone, as its API does not answer (%s)", o.unanswered)
	}
}

// judgeAPI says whether log and API tell of two different rates. A CPU's is no
// matter: other programs make it jump from one second to the next.
func judgeAPI(r miner.Report) error {
	if r.APISamples < apiLeast || r.Device == miner.DeviceCPU {
		return nil
	}
	tolerance := max(apiTolerance, 2*r.Variation)*float64(r.Hashrate) + float64(r.APIStep)
	if math.Abs(float64(r.APIHashrate-r.Hashrate)) <= tolerance {
		return nil
	}
	return fmt.Errorf("measured %s by the miner's log, the median of %d samples, and %s by its API, the median of %d; expected them to differ by less than %s; one of them is not true: look at the log, or set benchmark_api = false if the miner's API is known to be wrong",
		r.Hashrate, r.Samples, r.APIHashrate, r.APISamples, miner.Rate(tolerance))
}
