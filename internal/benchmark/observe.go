// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"context"
	"log"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

const (
	// queries is the approximate number of API and sensor queries in a window.
	queries = 12
	// apiLeast is the minimum number of responses for a comparison with the log.
	apiLeast = 3
)

// Queries holds the functions that query a running miner; nil functions are skipped.
type Queries struct {
	API     func(context.Context) (miner.Stat, error)
	Sensors func(context.Context) []nvidia.Sensors
}

// Observed holds the API and sensor values of the window.
type Observed struct {
	stats      []miner.Stat
	unanswered error // the last error of the API
	sensors    []sensorsAt
}

// sensorsAt holds a GPU's sensor values at a time, in seconds from the start of the
// window.
type sensorsAt struct {
	seconds float64
	nvidia.Sensors
}

// Observe polls the miner's API and the GPUs' sensors until over is closed, at the end
// of the window. If the API responds, but has not yet responded apiLeast times by
// then, it polls on for a few requests.
func Observe(ctx context.Context, over <-chan struct{}, window time.Duration, q Queries) Observed {
	var o Observed
	if q.API == nil && q.Sensors == nil {
		return o
	}
	begun := time.Now()
	every := max(time.Second, window/queries)
	for late := 0; ; {
		if q.API != nil {
			s, err := q.API(ctx)
			if err != nil {
				o.unanswered = err
				log.Printf("[DEBUG] the miner's API: %s", err)
			} else {
				o.stats = append(o.stats, s)
			}
		}
		if q.Sensors != nil {
			for _, s := range q.Sensors(ctx) {
				o.sensors = append(o.sensors, sensorsAt{since(begun), s})
			}
		}
		select {
		case <-over:
			if late++; late >= apiLeast || len(o.stats) == 0 || len(o.stats) >= apiLeast {
				return o
			}
		case <-ctx.Done():
			return o
		case <-time.After(every):
		}
	}
}
