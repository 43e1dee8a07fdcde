// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launchtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// boot is the state of a machine after its boot.
type boot struct {
	cloud  []string // the lines of `cloud-init status --long`; none without cloud-init
	system string   // of `systemctl is-system-running`
	failed []string // units
	freeMB int      // of the fullest file system that a boot writes to, at mount
	mount  string
	report miner.Report
}

// fullMB is how little free space counts as a full disk, in MB: the miner needs none, but
// neither logs nor logins work without.
const fullMB = 5

// cloudInit waits for the boot, and checks that cloud-init has ended without an error.
func (r *run) cloudInit(ctx context.Context) (string, error) {
	a, err := r.machine.Run(ctx, remote.Script{
		Name: "boot", Args: []string{strconv.Itoa(int(r.plan.Boot.Seconds()))}, AsRoot: true, Bound: 2*r.plan.Boot + time.Minute,
	})
	if err != nil {
		return "", err
	}
	b := &r.booted
	b.cloud, b.system, b.failed, b.mount = a.Facts("cloud"), a.Fact("system"), a.Facts("failed"), a.Fact("mount")
	b.freeMB, err = strconv.Atoi(a.Fact("free"))
	if err != nil {
		return "", fmt.Errorf("reading the free space: %w", err)
	}
	if text := a.Fact("report"); text != "" {
		if b.report, err = miner.DecodeReport([]byte(text)); err != nil {
			return "", err
		}
	}
	if b.freeMB < fullMB { // the cause of all else
		return "", b.full()
	}
	return judgeCloud(b.cloud, a.Fact("starting"))
}

func (b *boot) full() *CheckError {
	return fail(System, fmt.Sprintf("%s has %d MB of free space", b.mount, b.freeMB), "the disk is full: build the image with a larger volume (launch_block_device_mappings), or find what fills it at the boot")
}

// judgeCloud judges the output of `cloud-init status --long`. miner is the state of
// ethminer.service, whose start the user data may wait for.
func judgeCloud(lines []string, miner string) (string, error) {
	if len(lines) == 0 {
		return "the image has no cloud-init", nil
	}
	_, state, _ := strings.Cut(lines[0], "status: ")
	if state == "done" { // recoverable errors are in extended_status
		return "done", nil
	}
	saw := strings.Join(lines, ", ")
	switch {
	case strings.Contains(state, "error") && (miner == "auto-restart" || miner == "failed"):
		return "", fail(CloudInit, saw, "ethminer.service does not start ("+miner+"), and the user data starts it: see its log in the evidence")
	case strings.Contains(state, "error"):
		return "", fail(CloudInit, saw, "see /var/log/cloud-init.log and cloud-init-output.log: a module or the user data has failed")
	case strings.Contains(state, "running"):
		return "", fail(CloudInit, saw, "it has not ended within the time of the test: see what it waits for")
	}
	return "", fail(CloudInit, saw, "no user data is read: check that cloud-init is enabled in the image, and not cleaned away")
}

// ours is the prefix of the units that the provisioner installs.
const ours = "ethminer"

// system checks that no unit of the miner has failed.
func (r *run) system(context.Context) (string, error) {
	b := &r.booted
	if b.freeMB < fullMB {
		return "", b.full()
	}
	own := slices.DeleteFunc(slices.Clone(b.failed), func(unit string) bool { return !strings.HasPrefix(unit, ours) })
	if len(own) > 0 {
		return "", fail(System, fmt.Sprintf("%s, failed: %s", b.system, strings.Join(own, ", ")), "see the journal of the unit in the evidence")
	}
	saw := b.system
	if len(b.failed) > 0 {
		saw += "; failed, but not of the miner: " + strings.Join(b.failed, ", ")
	}
	return saw, nil
}
