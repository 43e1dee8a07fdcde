// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// den is an operating system thread of the server that lives in a mount
// namespace of its own. Mounts made on it show nowhere else, processes started
// on it inherit them, and both end with it: the kernel drops the namespace with
// its last member, and sends Pdeathsig when the thread that forked ends, not
// the process.
type den struct {
	work  chan func()
	ended chan struct{}
	once  sync.Once
}

// newDen starts the thread and moves it to its namespace.
func newDen() (*den, error) {
	d := &den{work: make(chan func()), ended: make(chan struct{})}
	started := make(chan error)
	go d.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return d, nil
}

func (d *den) live(started chan<- error) {
	// Never unlocked, so that the thread ends with the goroutine.
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread's namespace is what /proc/self shows, and the main
		// thread can't end: leave it to someone else.
		go d.live(started)
		defer runtime.UnlockOSThread()
		return
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		started <- fmt.Errorf("making a mount namespace, which needs CAP_SYS_ADMIN: %w", err)
		return
	}
	// Slave: what the host unmounts goes here too, nothing goes back.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		started <- fmt.Errorf("detaching the mount namespace: %w", err)
		return
	}
	started <- nil
	for {
		select {
		case f := <-d.work:
			f()
		case <-d.ended:
			return
		}
	}
}

// do runs f on the thread and waits for it.
func (d *den) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case d.work <- func() { result <- f() }:
		return <-result
	case <-d.ended:
		return errClosed
	}
}

// end ends the thread.
func (d *den) end() { d.once.Do(func() { close(d.ended) }) }
