// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// driver installs NVIDIA's driver if the image has none, reboots if required, and
// checks that the loaded driver is the installed one.
func (r *run) driver(ctx context.Context) (string, error) {
	if !r.withCUDA() {
		return "not needed", nil
	}
	if len(r.found.gpus) > 0 {
		return r.holdDriver(ctx)
	}
	d, err := nvidia.DriverFor(r.found.instanceType, r.config.DriverBranch)
	if err != nil {
		return "", err
	}
	a, err := r.machine.Run(ctx, remote.Script{
		Name:   "driver",
		Args:   append([]string{strconv.Itoa(d.Branch)}, d.Packages...),
		AsRoot: true,
		Bound:  30 * time.Minute,
	})
	if err != nil {
		return "", err
	}
	version := a.Fact("driver")
	// clean reports the driver's disk usage separately.
	if err := r.note(ctx, "driver-kb", a.Fact("grown_kb"), "image"); err != nil {
		return "", err
	}
	r.stamps["driver-kb"] = a.Fact("grown_kb")
	rebooted := ""
	if a.Fact("reboot") == "yes" {
		r.ui.Say("driver: rebooting the instance")
		if err := r.machine.Reboot(ctx, r.rebootPatience); err != nil {
			return "", err
		}
		rebooted = ", rebooted"
	}
	args := []string{version}
	if d.FabricManager {
		args = append(args, "fabricmanager")
	}
	loaded, err := r.machine.Run(ctx, remote.Script{Name: "loaded", Args: args, AsRoot: true, Bound: 5 * time.Minute})
	if err != nil {
		return "", err
	}
	r.found.readGPUs(loaded)
	if r.found.compute, err = r.computeFor(r.found); err != nil {
		return "", err
	}
	return fmt.Sprintf("installed %s%s", version, rebooted), nil
}

// holdDriver puts the image's kernel and driver packages on hold.
func (r *run) holdDriver(ctx context.Context) (string, error) {
	a, err := r.machine.Run(ctx, remote.Script{Name: "hold", AsRoot: true, Bound: time.Minute})
	if err != nil {
		return "", err
	}
	held := ""
	if n := a.Fact("held"); n != "" {
		held = "; held " + n + " kernel and driver packages, since upgrading only one of the two breaks mining"
	}
	return "the image has " + r.found.driver + held, nil
}
