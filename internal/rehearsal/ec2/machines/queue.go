// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package machines runs the jobs of instances' machines in the background.
package machines

import (
	"context"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
)

// Job is an operation on a machine. The lock of the queue guards it.
type Job struct {
	Done bool
	Err  error
}

// Queue runs the jobs of an instance's machine in order.
type Queue struct {
	mu      sync.Locker // guards the rest, and all jobs
	host    instance.Host
	log     func(format string, args ...any)
	ctx     context.Context
	cancel  context.CancelFunc
	machine instance.Machine
	last    chan struct{}   // closed when the latest job is done
	watched <-chan struct{} // the Off channel that Watch waits for
}

// NewQueue returns the queue of a machine that does not exist yet. Callers of every
// method except Watch hold mu. With a nil host there are no machines.
func NewQueue(mu sync.Locker, host instance.Host, log func(format string, args ...any)) *Queue {
	b := &Queue{mu: mu, host: host, log: log}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Console returns the console of the machine; empty without one.
func (b *Queue) Console() string {
	if b.machine == nil {
		return ""
	}
	return b.machine.Console()
}

// Cancel cancels the machine's jobs.
func (b *Queue) Cancel() { b.cancel() }

// do queues work for the machine. Without a host, the job is done immediately.
func (b *Queue) do(work func(ctx context.Context, m instance.Machine) error) *Job {
	j := &Job{}
	if b.host == nil {
		j.Done = true
		return j
	}
	before, done := b.last, make(chan struct{})
	b.last = done
	ctx := b.ctx
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		b.mu.Lock()
		m := b.machine
		b.mu.Unlock()
		err := work(ctx, m)
		b.mu.Lock()
		defer b.mu.Unlock()
		j.Done, j.Err = true, err
	}()
	return j
}

// Start boots the machine for the first time. It calls off, without the lock, each time
// the machine powers itself off.
func (b *Queue) Start(spec instance.Spec, off func()) *Job {
	return b.do(func(ctx context.Context, _ instance.Machine) error {
		m, err := b.host.Start(ctx, spec)
		if err != nil {
			b.log("starting the machine of %s: %v", spec.ID, err)
			return err
		}
		b.mu.Lock()
		b.machine = m
		b.mu.Unlock()
		b.Watch(m, off)
		return nil
	})
}

// Watch calls off once the machine powers itself off. A boot can leave the machine with
// a channel that is already watched.
func (b *Queue) Watch(m instance.Machine, off func()) {
	offChannel := m.Off()
	b.mu.Lock()
	defer b.mu.Unlock()
	if offChannel == b.watched {
		return
	}
	b.watched = offChannel
	go func() {
		select {
		case <-offChannel:
			off()
		case <-b.ctx.Done():
		}
	}()
}

// Boot powers a stopped machine on.
func (b *Queue) Boot(off func()) *Job {
	return b.do(func(ctx context.Context, m instance.Machine) error {
		if m == nil {
			return context.Canceled
		}
		if err := m.Boot(ctx); err != nil {
			return err
		}
		b.Watch(m, off)
		return nil
	})
}

// Each runs work on a started machine; without one it does nothing.
func (b *Queue) Each(work func(ctx context.Context, m instance.Machine) error) *Job {
	return b.do(func(ctx context.Context, m instance.Machine) error {
		if m == nil {
			return nil
		}
		return work(ctx, m)
	})
}

// End cancels the machine's jobs and removes the machine.
func (b *Queue) End() *Job {
	b.cancel()
	return b.Each(func(_ context.Context, m instance.Machine) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return m.Terminate(ctx)
	})
}
