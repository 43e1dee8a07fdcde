// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// poolRejects is after how many rejected shares, with none accepted, a pool
// check has failed. One alone may be stale.
const poolRejects = 3

// poolAsked says whether there is a pool to check.
func (r *run) poolAsked() bool { return r.config.PoolCheck != nil }

// pool mines at the user's pool until one share is accepted.
func (r *run) pool(ctx context.Context) (string, error) {
	c := r.config.PoolCheck
	if err := r.machine.upload(ctx, r.machine.path("pool"), strings.NewReader(c.url())); err != nil {
		return "", err
	}
	r.watch = newWatch()
	start, settled := r.now(), time.Duration(0)
	s := script{name: "benchmark", args: r.poolArgs(), bound: c.timeout + endGrace, secrets: c.secrets()}
	err := r.mine(ctx, s, func(ended <-chan error) error {
		return r.pause(ctx, ended, c.timeout, "pool: mining at "+c.where(), func() bool {
			accepted, rejected := r.watch.shares()
			settled = r.now().Sub(start).Round(time.Millisecond)
			return accepted > 0 || rejected >= poolRejects
		})
	})
	accepted, rejected := r.watch.shares()
	switch {
	case err != nil && !errors.Is(err, errEnded):
		return "", err
	case accepted > 0: // whatever came after
	case err != nil:
		return "", fmt.Errorf("%w before a share was accepted by %s; %s%s", err, c.where(), r.remedy("check pool, wallet and password, and that the instance reaches the pool"), r.shown(true))
	case rejected >= poolRejects:
		return "", fmt.Errorf("%s has rejected %d shares and accepted none; expected one accepted within %s; most likely it mines another coin than the miner, which was built for %s: set coin, or take a source that mines it; else see that it knows wallet and worker%s",
			c.where(), rejected, c.timeout, r.coin().Algorithm(), r.shown(true))
	default:
		return "", fmt.Errorf("%s has accepted no share within %s (pool_check: timeout) at %s, and rejected %d; %s%s", c.where(), c.timeout, r.watch.rate(), rejected,
			r.remedy("where the miner is connected and mines, the pool's difficulty is too high for the rate: make timeout longer, or take a port for slow miners"), r.shown(true))
	}
	if r.watch.log != "" {
		_ = os.Remove(r.watch.log)
	}
	r.report.Pool, r.report.PoolSeconds = c.where(), settled.Seconds()
	if r.report.Verdict == miner.VerdictPassed { // else gate was left out, and there is none
		if err := r.writeReport(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s has accepted a share after %s", c.where(), settled.Round(100*time.Millisecond)), nil
}

// poolArgs are the miner's options, but for the pool itself: see benchmark.sh.
func (r *run) poolArgs() []string {
	return []string{r.deviceArg(), "--nocolor", "--stdout", "--display-interval", "1"}
}
