// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

const (
	// measureSeconds is the length of the bandwidth measurement of each GPU.
	measureSeconds = 1
	// measureBound covers CUDA's start and up to eight GPUs, one at a time.
	measureBound = 2 * time.Minute
)

// buildMembench compiles the program that measures the GPU memory bandwidth.
func (r *run) buildMembench(ctx context.Context) error {
	if !r.withCUDA() || r.found.toolkit.NVCC == "" {
		return nil
	}
	if err := r.machine.UploadOwn(ctx, "membench.cu"); err != nil {
		return err
	}
	args := append([]string{"build", r.found.toolkit.NVCC, r.found.hostCompiler}, r.found.compute...)
	a, err := r.machine.Run(ctx, remote.Script{Name: "membench", Args: args, Bound: 5 * time.Minute})
	if err == nil && a.Fact("without") != "" {
		r.ui.Sayf("build: the GPU memory bandwidth will not be measured: %s", a.Fact("without"))
	}
	return err
}

// setLimit records in the report the rate that the GPU memory allows: measured, and
// by the data sheets.
func (r *run) setLimit(ctx context.Context) error {
	sheet, unknown := benchmark.DataSheet{}, errors.New("the benchmark runs on a CPU")
	if r.withCUDA() {
		sheet, unknown = benchmark.FindDataSheet(r.found.gpus, r.found.instanceType)
	}
	measured, err := r.measureMemory(ctx)
	if err != nil {
		return err
	}
	if measured = sheet.Fill(&r.report, measured); measured > 0 && sheet.Limit > 0 {
		r.ui.Sayf("benchmark: the GPU memory allows %s (measured), %s (data sheet)", measured, sheet.Limit)
	} else if measured > 0 {
		r.ui.Sayf("benchmark: the GPU memory allows %s (measured)", measured)
	}
	if r.report.Limit == 0 && r.config.MinLimitShare > 0 {
		return fmt.Errorf("min_limit_share %v: the limit is not known: %w; remove it and set min_hashrate", r.config.MinLimitShare, unknown)
	}
	return nil
}

// measureMemory returns the measured limit of all GPUs at the DAG's size, 0 if the
// measurement failed.
func (r *run) measureMemory(ctx context.Context) (miner.Rate, error) {
	if !r.withCUDA() {
		return 0, nil
	}
	a, err := r.machine.Run(ctx, remote.Script{
		Name:  "membench",
		Args:  []string{"run", strconv.FormatUint(r.report.DAGBytes, 10), strconv.Itoa(measureSeconds)},
		Bound: measureBound,
	})
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, text := range a.Facts("memory") {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate <= 0 {
			return 0, nil //nolint:nilerr // the GPU was not measured
		}
		sum += rate
	}
	if a.Fact("without") != "" || len(a.Facts("memory")) != len(r.found.gpus) {
		return 0, nil
	}
	return miner.BandwidthLimit(sum), nil
}
