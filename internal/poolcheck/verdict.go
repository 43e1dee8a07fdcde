// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poolcheck

import (
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
)

// rejects is the number of rejected shares, with none accepted, at which a check
// fails. A single one may be stale.
const rejects = 3

// Decided reports whether a miner's shares decide the check before its timeout.
func Decided(w *benchmark.Watch) bool {
	accepted, rejected := w.Shares()
	return accepted > 0 || rejected >= rejects
}

// Judge returns what the pool did with a miner's shares in the time since its start,
// and the remedy, which is empty if the pool has accepted one. algorithm is what the
// miner was built for; empty if unknown.
func (c *PoolCheck) Judge(w *benchmark.Watch, since time.Duration, algorithm string) (saw, remedy string) {
	accepted, rejected := w.Shares()
	switch {
	case accepted > 0:
		return fmt.Sprintf("%s accepted a share after %s", c.Where(), since.Round(100*time.Millisecond)), ""
	case rejected >= rejects:
		if algorithm != "" {
			algorithm = ", which was built for " + algorithm
		}
		return fmt.Sprintf("%s rejected %d shares and accepted none; expected one accepted within %s", c.Where(), rejected, c.MaxTime()),
			"most likely the pool's coin differs from that of the miner" + algorithm + ": set coin, or use a source for the pool's coin; otherwise check wallet and worker"
	}
	return fmt.Sprintf("%s accepted no share within %s (pool_check: timeout) at %s, and rejected %d", c.Where(), c.MaxTime(), w.Rate(), rejected),
		w.Remedy("if the miner is connected and mining, the pool's difficulty is too high for the rate: increase timeout, or use a port for slow miners; otherwise " + AccessRemedy)
}

// AccessRemedy is the remedy if a miner does not reach the pool, or may not mine there.
const AccessRemedy = "check pool, wallet and password, and that the instance can reach the pool"
