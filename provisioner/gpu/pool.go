// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// poolRejects is the number of rejected shares, with none accepted, at which a pool
// check fails. A single one may be stale.
const poolRejects = 3

// poolAsked reports whether there is a pool to check.
func (r *run) poolAsked() bool { return r.config.PoolCheck != nil }

// pool mines at the user's pool until it accepts one share.
func (r *run) pool(ctx context.Context) (string, error) {
	c := r.config.PoolCheck
	r.watch = benchmark.NewWatch()
	start, settled := r.now(), time.Duration(0)
	s, err := r.minerScript(ctx, c.MaxTime()+endGrace, r.poolArgs())
	if err != nil {
		return "", err
	}
	s.Secret = c.URL()
	err = r.mine(ctx, s, func(ended <-chan error) error {
		return r.pause(ctx, ended, c.MaxTime(), "mining at "+c.Where(), func() bool {
			accepted, rejected := r.watch.Shares()
			settled = r.now().Sub(start).Round(time.Millisecond)
			return accepted > 0 || rejected >= poolRejects
		})
	})
	accepted, rejected := r.watch.Shares()
	switch {
	case err != nil && !errors.Is(err, errEnded):
		return "", err
	case accepted > 0: // even if the miner exited afterwards
	case err != nil:
		return "", fmt.Errorf("%w before a share was accepted by %s; %s%s", err, c.Where(), r.watch.Remedy("check pool, wallet and password, and that the instance can reach the pool"), r.watch.Shown(true))
	case rejected >= poolRejects:
		return "", fmt.Errorf("%s rejected %d shares and accepted none; expected one accepted within %s; most likely the pool's coin differs from that of the miner, which was built for %s: set coin, or use a source for the pool's coin; otherwise check wallet and worker%s",
			c.Where(), rejected, c.MaxTime(), r.coin().Algorithm(), r.watch.Shown(true))
	default:
		return "", fmt.Errorf("%s accepted no share within %s (pool_check: timeout) at %s, and rejected %d; %s%s", c.Where(), c.MaxTime(), r.watch.Rate(), rejected,
			r.watch.Remedy("if the miner is connected and mining, the pool's difficulty is too high for the rate: increase timeout, or use a port for slow miners"), r.watch.Shown(true))
	}
	if r.watch.Log != "" {
		_ = os.Remove(r.watch.Log)
	}
	r.report.Pool, r.report.PoolSeconds = c.Where(), settled.Seconds()
	if r.report.Verdict == miner.VerdictPassed { // otherwise gate was skipped, and there is no report
		if err := r.writeReport(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s accepted a share after %s", c.Where(), settled.Round(100*time.Millisecond)), nil
}

// poolArgs returns the miner's options; benchmark.sh adds the pool.
func (r *run) poolArgs() []string {
	return []string{r.deviceArg(), "--display-interval", "1"}
}
