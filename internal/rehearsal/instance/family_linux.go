// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// family contains the children of a machine's first process: those it started, and,
// since it is the first process, orphans.
type family struct {
	mu    sync.Mutex
	ended map[int]chan<- unix.WaitStatus // by pid, of the processes it started
	// grown is signalled when there may be a process to wait for.
	grown chan struct{}
	// forks run on a thread with the capabilities and the umask of all children.
	forks chan func()
}

func newFamily() (*family, error) {
	f := &family{ended: map[int]chan<- unix.WaitStatus{}, grown: make(chan struct{}, 1), forks: make(chan func())}
	limited := make(chan error)
	go func() {
		runtime.LockOSThread()
		// The thread has its own umask, which can then be changed for one child.
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Chdir("/")); err != nil {
			limited <- err
			return
		}
		if err := isolate(); err != nil {
			limited <- err
			return
		}
		limited <- dropCapabilities()
		for fork := range f.forks {
			fork()
		}
	}()
	if err := <-limited; err != nil {
		return nil, err
	}
	go f.reap()
	return f, nil
}

// defaultMask is the umask of processes without another umask.
const defaultMask = 0o022

// start runs a program; the channel delivers its status.
func (f *family) start(file string, argv []string, attr *syscall.ProcAttr) (int, <-chan unix.WaitStatus, error) {
	return f.startMasked(defaultMask, file, argv, attr)
}

// startMasked is start with a umask.
func (f *family) startMasked(umask int, file string, argv []string, attr *syscall.ProcAttr) (int, <-chan unix.WaitStatus, error) {
	// Held during both, so that reap knows even a short-lived child.
	f.mu.Lock()
	defer f.mu.Unlock()
	var pid int
	var err error
	done := make(chan struct{})
	f.forks <- func() {
		before := unix.Umask(umask)
		pid, err = syscall.ForkExec(file, argv, attr)
		unix.Umask(before)
		close(done)
	}
	if <-done; err != nil {
		return 0, nil, err
	}
	status := make(chan unix.WaitStatus, 1)
	f.ended[pid] = status
	select {
	case f.grown <- struct{}{}:
	default:
	}
	return pid, status, nil
}

// adopt returns a channel for the end of an orphan. If the process has already ended,
// it reports success.
func (f *family) adopt(pid int) <-chan unix.WaitStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	status := make(chan unix.WaitStatus, 1)
	if unix.Kill(pid, 0) != nil {
		status <- 0
		return status
	}
	f.ended[pid] = status
	return status
}

// signal sends a signal to the process group of a running child.
func (f *family) signal(pid int, s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.ended[pid]; ok {
		_ = syscall.Kill(-pid, s) // it may have ended
	}
}

// reap waits for all processes, forever.
func (f *family) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.ECHILD) {
			<-f.grown
		}
		if err != nil {
			continue
		}
		f.mu.Lock()
		if c, ok := f.ended[pid]; ok {
			c <- status
			delete(f.ended, pid)
		}
		f.mu.Unlock()
	}
}
