// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Reboot restarts the instance and waits for at most patience until it responds:
// Packer's communicator reconnects when a command fails on the old connection. It
// runs the script reboot.
func (m *Machine) Reboot(ctx context.Context, patience time.Duration) error {
	if _, err := m.Run(ctx, Script{Name: "reboot", AsRoot: true, Bound: time.Minute}); err != nil {
		return err
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	late := fmt.Errorf("the instance did not come back within %s of its reboot; check its console output (aws ec2 get-console-output), or increase reboot_timeout", patience)
	poll := min(connectPoll, patience/4)
	for {
		if err := pause(ctx, poll, deadline, late); err != nil {
			return err
		}
		if m.back(ctx, patience) {
			return m.connect(ctx)
		}
	}
}

// back reports whether the instance has rebooted: the marker in /run is gone.
func (m *Machine) back(ctx context.Context, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, min(connectBound, patience))
	defer cancel()
	status, err := m.start(ctx, commandLine("test", "!", "-e", m.root+"/run/ethminer-gpu-before-reboot"), "", io.Discard, io.Discard, nil)
	return err == nil && status == 0
}
