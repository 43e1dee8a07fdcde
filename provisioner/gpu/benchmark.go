// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

const (
	// failGrace is how long a miner has until its first rate after it printed a
	// device failure: another device may still mine.
	failGrace = 15 * time.Second
	// settle is how long the window is extended for a miner that shows no rate at
	// its end.
	settle = (miner.StopLines + 2) * time.Second
)

// benchmark mines a known block without a pool and reads the rates from the log.
// The miner runs until it is stopped; the instance stops it at the bound in any
// case.
func (r *run) benchmark(ctx context.Context) (string, error) {
	c := r.config.Settings()
	args := r.benchmarkArgs()
	s, err := r.minerScript(ctx, c.StartTimeout+c.Warmup+c.Duration+endGrace, args)
	if err != nil {
		return "", err
	}
	if !r.report.UnderUnit {
		r.ui.Sayf("benchmark: running the miner without ethminer.service and its sandbox: %s", r.withoutUnit)
	}
	r.watch = benchmark.NewWatch()
	block := uint64(r.config.BenchmarkBlock) //nolint:gosec // checkBlock has checked it
	r.report.Algorithm, r.report.Block = r.coin().Algorithm(), block
	r.report.Epoch = r.coin().Epoch(block)
	r.report.DAGBytes = miner.DatasetBytes(r.report.Epoch)
	r.report.Floor, r.report.FloorPerGPU = c.Floor, c.FloorPerGPU
	r.report.LeastLimitShare, r.report.MostVariation = r.config.MinLimitShare, r.config.MaxVariation
	if err := r.setLimit(ctx); err != nil {
		return "", err
	}
	before, readable := r.xids(ctx)
	r.report.StartedAt = r.now().UTC().Truncate(time.Second)

	err = r.mine(ctx, s, func(ended <-chan error) error { return r.measure(ctx, ended) })
	if readable && (err == nil || errors.Is(err, errEnded) || errors.Is(err, errNoRate)) {
		after, _ := r.xids(ctx)
		r.report.Xids = slices.DeleteFunc(after, func(line string) bool { return slices.Contains(before, line) })
	}
	if errors.Is(err, errEnded) || errors.Is(err, errNoRate) {
		usual := "see the miner's output, and try the same command on a similar machine: ethminer " + strings.Join(args, " ")
		if ails := benchmark.Ailments(r.report); len(ails) > 0 {
			usual = ails[0]
		}
		return "", fmt.Errorf("%w at %s; %s%s", err, r.report.DAG(), r.watch.Remedy(usual), r.watch.Shown(true))
	}
	if err != nil {
		return "", err
	}
	if err := r.observed.FillAPI(&r.report); err != nil {
		r.ui.Sayf("benchmark: using the rate from the miner's log only, as its API does not respond (%s)", err)
	}
	r.watch.Fill(&r.report)
	r.observed.FillSensors(&r.report)
	return fmt.Sprintf("%s, the median of %d samples in %s%s", r.report.Hashrate, r.report.Samples, c.Duration, late(r.report.LateCollections)), nil
}

// late formats the number of late collections.
func late(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d late", n)
}

// benchmarkArgs returns the miner's options, besides those of every run.
func (r *run) benchmarkArgs() []string {
	args := []string{r.deviceArg(), "--display-interval", "1", "-M", strconv.Itoa(r.config.BenchmarkBlock)}
	return append(args, r.apiArgs()...)
}

// errNoRate is returned when the miner reports no rate before the timeout.
var errNoRate = errors.New("the miner reported no hash rate above zero")

// measure waits for the first rate, for the warm-up, and for the window.
func (r *run) measure(ctx context.Context, ended <-chan error) error {
	c := r.config.Settings()
	if err := r.awaitRate(ctx, ended); err != nil {
		return err
	}
	if err := r.warmUp(ctx, ended); err != nil {
		return err
	}
	r.watch.Measure(true)
	start := r.now()
	over, asked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		r.observed = r.observe(ctx, over)
	}()
	err := r.pause(ctx, ended, c.Duration, "measuring", nil)
	if err == nil && r.watch.Undecided() { // a late collection, or mining has stopped
		err = r.pause(ctx, ended, settle, "waiting for a rate", func() bool { return !r.watch.Undecided() })
	}
	r.watch.Measure(false)
	r.report.WindowSeconds = r.now().Sub(start).Round(time.Millisecond).Seconds()
	close(over)
	<-asked
	return err
}

func (r *run) awaitRate(ctx context.Context, ended <-chan error) error {
	limit := r.config.Settings().StartTimeout
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	failed := r.watch.Failed
	start := r.now()
	defer r.status.set(func() string {
		return fmt.Sprintf("waiting for the first rate, %s of at most %s (benchmark_start_timeout)", took(r.now().Sub(start)), limit)
	})()
	for {
		select {
		case <-r.watch.Mining:
			return nil
		case <-failed:
			failed = nil
			timeout.Reset(min(failGrace, limit-r.now().Sub(start)))
		case <-timeout.C:
			return r.noRate(r.now().Sub(start))
		case err := <-ended:
			return r.endedEarly(ctx, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// warmUp lets the miner run until its rate is stable, benchmark_warmup at most.
func (r *run) warmUp(ctx context.Context, ended <-chan error) error {
	limit, start := r.config.Settings().Warmup, r.now()
	if err := r.pause(ctx, ended, limit, "warming up", r.watch.Stable); err != nil {
		return err
	}
	r.report.WarmupSeconds = r.now().Sub(start).Round(time.Millisecond).Seconds()
	if r.report.Stable = r.watch.Stable(); !r.report.Stable && limit > 0 {
		r.ui.Sayf("benchmark: the rate was not stable after %s (benchmark_warmup); measuring anyway", limit)
	}
	return nil
}

func (r *run) noRate(waited time.Duration) error {
	return fmt.Errorf("%w within %s (benchmark_start_timeout %s)", errNoRate, took(waited), r.config.Settings().StartTimeout)
}
