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
	"github.com/eth-mining/packer-plugin-ethminer/internal/poolcheck"
)

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
			settled = r.now().Sub(start).Round(time.Millisecond)
			return poolcheck.Decided(r.watch)
		})
	})
	saw, remedy := c.Judge(r.watch, settled, r.coin().Algorithm())
	switch {
	case err != nil && !errors.Is(err, errEnded):
		return "", err
	case remedy == "": // even if the miner exited afterwards
	case err != nil:
		return "", fmt.Errorf("%w before a share was accepted by %s; %s%s", err, c.Where(), r.watch.Remedy(poolcheck.AccessRemedy), r.watch.Shown(true))
	default:
		return "", errors.New(saw + "; " + remedy + r.watch.Shown(true))
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
	return saw, nil
}

// poolArgs returns the miner's options; benchmark.sh adds the pool.
func (r *run) poolArgs() []string {
	return []string{r.deviceArg(), "--display-interval", "1"}
}
