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

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

const (
	// sayEvery is how often a running benchmark says its rate.
	sayEvery = 5 * time.Second
	// lookEvery is how often the end of a warm-up is looked for.
	lookEvery = 100 * time.Millisecond
	// failGrace is how long a miner gets to its first rate after it has
	// printed why a device cannot mine: another device may.
	failGrace = 15 * time.Second
	// endGrace covers the connection's delays and the miner's end.
	endGrace = time.Minute
)

// benchmark mines a known block without a pool and reads the rates from the
// log while it runs. The miner never ends by itself; whatever happens here, the
// instance ends it when the bound is reached.
func (r *run) benchmark(ctx context.Context) (string, error) {
	c := r.config.parsed
	s := script{
		name:  "benchmark",
		args:  r.benchmarkArgs(),
		bound: c.startTimeout + c.warmup + c.duration + endGrace,
	}
	r.watch = newWatch()
	block := uint64(r.config.BenchmarkBlock)
	r.report.Algorithm, r.report.Block = r.coin().Algorithm(), block
	r.report.Epoch = r.coin().Epoch(block)
	r.report.DAGBytes = miner.DatasetBytes(r.report.Epoch)
	r.report.Floor, r.report.FloorPerGPU = c.floor, c.floorPerGPU
	r.report.LeastLimitShare, r.report.MostVariation = r.config.MinLimitShare, r.config.MaxVariation
	if err := r.setLimit(); err != nil {
		return "", err
	}
	before, readable := r.xids(ctx)
	r.report.StartedAt = r.now().UTC().Truncate(time.Second)

	err := r.mine(ctx, s, func(ended <-chan error) error { return r.measure(ctx, ended) })
	if readable && (err == nil || errors.Is(err, errEnded) || errors.Is(err, errNoRate)) {
		after, _ := r.xids(ctx)
		r.report.Xids = slices.DeleteFunc(after, func(line string) bool { return slices.Contains(before, line) })
	}
	if errors.Is(err, errEnded) || errors.Is(err, errNoRate) {
		usual := "see what the miner printed, and try the same command on a machine like it: ethminer " + strings.Join(s.args, " ")
		if ails := ailments(r.report); len(ails) > 0 {
			usual = ails[0]
		}
		return "", fmt.Errorf("%w at %s; %s%s", err, r.report.DAG(), r.remedy(usual), r.shown(true))
	}
	if err != nil {
		return "", err
	}
	r.fillAPI(r.observed)
	r.watch.fill(&r.report)
	r.fillSensors(r.observed)
	return fmt.Sprintf("%s, %d samples in %s", r.report.Hashrate, r.report.Samples, c.duration), nil
}

// setLimit notes what the memory of the GPUs allows, where the catalogue knows
// them.
func (r *run) setLimit() error {
	var unknown string
	switch entry, err := gpucatalog.Lookup(r.found.instanceType); {
	case r.found.device != deviceCUDA:
		unknown = "the benchmark runs on a CPU"
	case r.found.instanceType == "":
		unknown = "the instance is not of EC2"
	case err != nil:
		unknown = err.Error()
	default:
		r.report.Limit = miner.BandwidthLimit(entry.BandwidthGBs*1e9) * miner.Rate(entry.Count)
		return nil
	}
	if r.config.MinLimitShare > 0 {
		return fmt.Errorf("min_limit_share %v: the limit is not known: %s; leave it out, and set min_hashrate", r.config.MinLimitShare, unknown)
	}
	return nil
}

// benchmarkArgs are the miner's options.
func (r *run) benchmarkArgs() []string {
	args := []string{r.deviceArg(), "--nocolor", "--stdout", "--display-interval", "1", "-M", strconv.Itoa(r.config.BenchmarkBlock)}
	return append(args, r.apiArgs()...)
}

// errNoRate is what a miner can do wrong before its rate is judged, besides
// ending.
var errNoRate = errors.New("the miner showed no hash rate above zero")

// measure waits for the first rate, for the warm-up, and for the window.
func (r *run) measure(ctx context.Context, ended <-chan error) error {
	c := r.config.parsed
	if err := r.awaitRate(ctx, ended); err != nil {
		return err
	}
	if err := r.warmUp(ctx, ended); err != nil {
		return err
	}
	r.watch.measure(true)
	start := r.now()
	over, asked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		r.observed = r.observe(ctx, over)
	}()
	err := r.pause(ctx, ended, c.duration, "benchmark: measuring", nil)
	r.watch.measure(false)
	r.report.WindowSeconds = r.now().Sub(start).Round(time.Millisecond).Seconds()
	close(over)
	<-asked
	return err
}

func (r *run) awaitRate(ctx context.Context, ended <-chan error) error {
	limit := r.config.parsed.startTimeout
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	failed := r.watch.failed
	start := r.now()
	for {
		select {
		case <-r.watch.mining:
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
	limit, start := r.config.parsed.warmup, r.now()
	if err := r.pause(ctx, ended, limit, "benchmark: warming up", r.watch.stable); err != nil {
		return err
	}
	r.report.WarmupSeconds = r.now().Sub(start).Round(time.Millisecond).Seconds()
	if r.report.Stable = r.watch.stable(); !r.report.Stable && limit > 0 {
		r.ui.Sayf("benchmark: the rate was not stable after %s (benchmark_warmup); measuring all the same", limit)
	}
	return nil
}

func (r *run) noRate(waited time.Duration) error {
	return fmt.Errorf("%w within %s (benchmark_start_timeout %s)", errNoRate, took(waited), r.config.parsed.startTimeout)
}
