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

// detach makes a child live on when we, our terminal or our group end.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// giveToSudoUser makes a file belong to the user who called sudo. Where that
// fails the file stays root's, and that user's next command says so.
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

// errLocked is returned by takeLock where another process has the lock.
var errLocked = errors.New("locked by another process")

// takeLock takes a lock that ends with the process, or when it is closed.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
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

// pollProcess asks four times a second whether a process is there.
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
