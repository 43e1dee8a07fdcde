// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// mountThread is an operating system thread of the server with its own mount namespace.
// Its mounts are invisible elsewhere, and its child processes inherit them. Both end
// with the thread: the kernel removes the namespace with its last member, and sends
// Pdeathsig when the forking thread ends.
type mountThread struct {
	work  chan func()
	ended chan struct{}
	once  sync.Once
}

// newMountThread starts the thread and moves it to a new namespace.
func newMountThread() (*mountThread, error) {
	d := &mountThread{work: make(chan func()), ended: make(chan struct{})}
	started := make(chan error)
	go onThread(func() { d.run(started) })
	if err := <-started; err != nil {
		return nil, err
	}
	return d, nil
}

func (d *mountThread) run(started chan<- error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		started <- fmt.Errorf("creating a mount namespace, which requires CAP_SYS_ADMIN: %w", err)
		return
	}
	// Slave: unmounts of the host propagate here, but nothing propagates back.
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
func (d *mountThread) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case d.work <- func() { result <- f() }:
		return <-result
	case <-d.ended:
		return errClosed
	}
}

// end ends the thread.
func (d *mountThread) end() { d.once.Do(func() { close(d.ended) }) }
