// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launchtest

import (
	"context"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poolcheck"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

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
	for !poolcheck.Decided(watch) && time.Since(begun) <= c.MaxTime() {
		if err := pause(ctx, lookEvery); err != nil {
			return "", err
		}
	}
	saw, remedy := c.Judge(watch, time.Since(begun), r.booted.report.Algorithm)
	if remedy != "" {
		return "", fail(Pool, saw, remedy).after(watch)
	}
	return saw, nil
}

// poolStart limits the restart of the service, which may wait for the GPU.
const poolStart = 10 * time.Minute
