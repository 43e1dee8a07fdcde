// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"log"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// questions is about how often the API and the sensors are asked in a window.
const questions = 12

// observed is what was asked within the window, beside the log.
type observed struct {
	stats      []miner.Stat
	unanswered error // why the API did not answer last
	sensors    []nvidia.Sensors
}

// observe asks the miner's API and the GPUs' sensors again and again until over
// is closed. An API that answers, but too slowly to be judged by then, is asked
// on.
func (r *run) observe(ctx context.Context, over <-chan struct{}) observed {
	var o observed
	api, sensors := !r.config.BenchmarkAPI.False(), r.found.device == deviceCUDA
	if !api && !sensors {
		return o
	}
	every := max(time.Second, r.config.parsed.duration/questions)
	for late := 0; ; {
		if api {
			s, err := r.askAPI(ctx)
			if err != nil {
				o.unanswered = err
				log.Printf("[DEBUG] the miner's API: %s", err)
			} else {
				o.stats = append(o.stats, s)
			}
		}
		if sensors {
			o.sensors = append(o.sensors, r.askSensors(ctx)...)
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
