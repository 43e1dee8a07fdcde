// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// driver installs NVIDIA's driver where there is none, reboots if that takes
// it, and checks that the one that runs is the one that was installed.
func (r *run) driver(ctx context.Context) (string, error) {
	if r.found.device != deviceCUDA {
		return "not needed", nil
	}
	if len(r.found.gpus) > 0 {
		return r.found.driver + " is there", nil
	}
	d, err := nvidia.DriverFor(r.found.instanceType, r.config.DriverBranch)
	if err != nil {
		return "", err
	}
	a, err := r.machine.run(ctx, script{
		name:   "driver",
		args:   append([]string{strconv.Itoa(d.Branch)}, d.Packages...),
		asRoot: true,
		bound:  30 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	version := a.fact("driver")
	// The growth that is the driver's own is told apart in the end.
	if err := r.note(ctx, "driver-kb", a.fact("grown_kb"), "image"); err != nil {
		return "", err
	}
	r.stamps["driver-kb"] = a.fact("grown_kb")
	rebooted := ""
	if a.fact("reboot") == "yes" {
		if err := r.reboot(ctx); err != nil {
			return "", err
		}
		rebooted = ", rebooted"
	}
	args := []string{version}
	if d.FabricManager {
		args = append(args, "fabricmanager")
	}
	loaded, err := r.machine.run(ctx, script{name: "loaded", args: args, asRoot: true, bound: 5 * time.Minute})
	if err != nil {
		return "", err
	}
	r.found.readGPUs(loaded)
	if r.found.compute, err = r.computeFor(r.found); err != nil {
		return "", err
	}
	return fmt.Sprintf("installed %s%s", version, rebooted), nil
}
