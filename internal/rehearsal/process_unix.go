// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// detach keeps a child running after this process, its terminal or its process group
// ends.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// giveToSudoUser changes the owner of a file to the user who called sudo. On failure
// the file stays root's, and that user's next command reports it.
func giveToSudoUser(path string) {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil || os.Geteuid() != 0 {
		return
	}
	gid, err := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err != nil {
		gid = -1
	}
	_ = os.Lchown(path, uid, gid)
}

// errLocked is returned by takeLock if another process holds the lock.
var errLocked = errors.New("locked by another process")

// takeLock acquires a lock. Closing it, or the end of the process, releases it.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in the state folder
	if err != nil {
		return nil, fmt.Errorf("locking the rehearsal's state folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("locking the rehearsal's state folder: %w", err)
	}
	return f, nil
}

// pollProcess checks four times a second whether a process runs.
func pollProcess(ctx context.Context, pid int) (<-chan struct{}, error) {
	there := func() bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
	if !there() {
		return nil, unix.ESRCH
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for there() && ctx.Err() == nil {
			time.Sleep(250 * time.Millisecond)
		}
	}()
	return gone, nil
}
