// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// detach keeps a child running after this process, its console or its process group
// ends.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// giveToSudoUser does nothing: there is no sudo.
func giveToSudoUser(string) {}

// errLocked is returned by takeLock if another process holds the lock.
var errLocked = errors.New("locked by another process")

// takeLock acquires a lock. Closing it, or the end of the process, releases it.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the rehearsal's state folder: %w", err)
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if err != nil {
		_ = f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("locking the rehearsal's state folder: %w", err)
	}
	return f, nil
}

// watchProcess returns a channel that is closed once the process has ended or ctx is
// done.
func watchProcess(ctx context.Context, pid int) (<-chan struct{}, error) {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer func() { _ = windows.CloseHandle(h) }()
		for ctx.Err() == nil {
			event, err := windows.WaitForSingleObject(h, 250)
			if err != nil || event != uint32(windows.WAIT_TIMEOUT) {
				return
			}
		}
	}()
	return gone, nil
}
