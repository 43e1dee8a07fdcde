// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// watchProcess returns a channel that is closed once the process has ended or ctx is
// done. A reused pid does not affect it.
func watchProcess(ctx context.Context, pid int) (<-chan struct{}, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ENOSYS || err == unix.EPERM {
		return pollProcess(ctx, pid)
	}
	if err != nil {
		return nil, fmt.Errorf("watching it: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer func() { _ = unix.Close(fd) }()
		for ctx.Err() == nil {
			// The descriptor of an ended process is readable.
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 250) //nolint:gosec // a file descriptor
			if n > 0 || err != nil && err != unix.EINTR {
				return
			}
		}
	}()
	return gone, nil
}
