// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"fmt"
	"io"
	"time"
)

const (
	// defaultReboot is how long a reboot may take; an instance of EC2 takes a
	// minute or two, a bare-metal one fifteen.
	defaultReboot = 15 * time.Minute
	// rebootPoll is how often it is looked whether the instance is back.
	rebootPoll = 2 * time.Second
)

// reboot restarts the instance and waits until it answers again: Packer's
// communicator makes a new connection when a command finds the old one dead.
func (r *run) reboot(ctx context.Context) error {
	r.ui.Say("rebooting the instance")
	if _, err := r.machine.run(ctx, script{name: "reboot", asRoot: true, bound: time.Minute}); err != nil {
		return err
	}
	deadline := time.NewTimer(r.rebootPatience)
	defer deadline.Stop()
	poll := min(rebootPoll, r.rebootPatience/4)
	for {
		select {
		case <-time.After(poll):
		case <-deadline.C:
			return fmt.Errorf("the instance did not come back within %s of its reboot; see its console (aws ec2 get-console-output), or make reboot_timeout longer", r.rebootPatience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if r.back(ctx) {
			return r.machine.connect(ctx)
		}
	}
}

// back says whether the instance has booted: its mark in /run is gone.
func (r *run) back(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, min(30*time.Second, r.rebootPatience))
	defer cancel()
	status, err := r.machine.start(ctx, commandLine("test", "!", "-e", r.machine.root+"/run/ethminer-gpu-before-reboot"), io.Discard, io.Discard, nil)
	return err == nil && status == 0
}
