// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// den is an operating system thread of the server that lives in a mount
// namespace of its own. Mounts made on it show nowhere else, processes started
// on it inherit them, and both end with it: the kernel drops the namespace with
// its last member, and sends Pdeathsig when the thread that forked ends, not
// the process.
type den struct {
	work chan func()
}

// newDen starts the thread and moves it to its namespace.
func newDen() (*den, error) {
	d := &den{work: make(chan func())}
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
		started <- fmt.Errorf("making a mount namespace: %w", err)
		return
	}
	// Slave: what the host unmounts goes here too, nothing goes back.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		started <- fmt.Errorf("detaching the mount namespace: %w", err)
		return
	}
	started <- nil
	for f := range d.work {
		f()
	}
}

// do runs f on the thread and waits for it.
func (d *den) do(f func() error) error {
	result := make(chan error, 1)
	d.work <- func() { result <- f() }
	return <-result
}

// end ends the thread; do must not be called afterwards.
func (d *den) end() {
	close(d.work)
}
