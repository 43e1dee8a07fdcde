// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launchtest

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// poolRejects is the number of rejected shares, with none accepted, at which the check
// fails. A single one may be stale.
const poolRejects = 3

// pool lets the service mine at the pool until that accepts a share.
func (r *run) pool(ctx context.Context) (string, error) {
	c, begun := r.plan.Pool, time.Now()
	device := "-U"
	if r.booted.report.Device == miner.DeviceCPU {
		device = "--cpu"
	}
	_, err := r.machine.Run(ctx, remote.Script{
		Name: "pool", Args: []string{device, "--display-interval", "1"}, Secret: c.URL(), AsRoot: true, Bound: poolStart,
	})
	if err != nil {
		return "", err
	}
	watch, stop := r.follow(ctx, "0")
	defer stop()
	for {
		accepted, rejected := watch.Shares()
		took := time.Since(begun).Round(100 * time.Millisecond)
		switch {
		case accepted > 0:
			return fmt.Sprintf("%s accepted a share after %s", c.Where(), took), nil
		case rejected >= poolRejects:
			return "", fail(Pool, fmt.Sprintf("%s rejected %d shares and accepted none", c.Where(), rejected), "most likely the pool's coin is not the miner's; otherwise check wallet and worker").after(watch)
		case took > c.MaxTime():
			return "", fail(Pool, fmt.Sprintf("%s accepted no share within %s, at %s", c.Where(), c.MaxTime(), watch.Rate()), "check pool, wallet and password, and that the instance can reach the pool").after(watch)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return "", err
		}
	}
}

// poolStart limits the restart of the service, which may wait for the GPU.
const poolStart = 10 * time.Minute
