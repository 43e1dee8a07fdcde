// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"log"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
	"github.com/eth-mining/packer-plugin-ethminer/internal/probe"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// sensorsBound limits a run of nvidia-smi.
const sensorsBound = 10 * time.Second

// apiPort returns a random port for the miner's API, outside Linux's range of
// ephemeral ports.
func apiPort() int { return 20000 + rand.IntN(10000) } //nolint:gosec // the port needs no secrecy

// apiArgs returns the options that bind the API to loopback, read-only.
func (r *run) apiArgs() []string {
	if r.config.BenchmarkAPI.False() {
		return nil
	}
	if r.port == 0 {
		r.port = apiPort()
	}
	return []string{"--api-bind", "127.0.0.1:-" + strconv.Itoa(r.port)}
}

// observe polls the miner's API and the GPUs' sensors until over is closed.
func (r *run) observe(ctx context.Context, over <-chan struct{}) benchmark.Observed {
	var q benchmark.Queries
	if !r.config.BenchmarkAPI.False() {
		q.API = func(ctx context.Context) (miner.Stat, error) { return probe.API(ctx, r.machine, r.port) }
	}
	if r.withCUDA() {
		q.Sensors = r.askSensors
	}
	return benchmark.Observe(ctx, over, r.config.Settings().Duration, q)
}

// askSensors queries nvidia-smi once. Errors are ignored, since no verdict depends
// on the sensors alone.
func (r *run) askSensors(ctx context.Context) []nvidia.Sensors {
	a, err := r.machine.Ask(ctx, remote.Script{Name: "sensors", Args: []string{nvidia.SensorsQuery, nvidia.OldSensorsQuery}, Bound: sensorsBound})
	if err != nil {
		log.Printf("[DEBUG] the GPUs' sensors: %s", err)
		return nil
	}
	var all []nvidia.Sensors
	for _, line := range a.Facts("sensors") {
		s, err := nvidia.ParseSensors(line)
		if err != nil {
			log.Printf("[DEBUG] the GPUs' sensors: %s", err)
			continue
		}
		all = append(all, s)
	}
	return all
}

// xids returns the kernel's lines about GPU errors; ok is false if they cannot be
// read.
func (r *run) xids(ctx context.Context) (lines []string, ok bool) {
	if !r.withCUDA() {
		return nil, false
	}
	lines, err := probe.Xids(ctx, r.machine)
	if err != nil {
		log.Printf("[DEBUG] the kernel's log: %s", err)
	}
	return lines, err == nil
}
