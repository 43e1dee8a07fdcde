// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"context"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
)

// job is something that a machine does; the service's lock guards it.
type job struct {
	over bool
	err  error
}

// box does an instance's jobs one after the other, beside the calls. The
// service's lock guards it.
type box struct {
	s       *Service
	ctx     context.Context
	cancel  context.CancelFunc
	machine instance.Machine
	last    chan struct{}   // closed when the job before is over
	watched <-chan struct{} // the Off of the machine that is looked at
}

func (s *Service) newBox() *box {
	b := &box{s: s}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// do queues work for the machine. Without a host it is over at once.
func (b *box) do(work func(ctx context.Context, m instance.Machine) error) *job {
	j := &job{}
	if b.s.cfg.Host == nil {
		j.over = true
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
		b.s.mu.Lock()
		m := b.machine
		b.s.mu.Unlock()
		err := work(ctx, m)
		b.s.mu.Lock()
		defer b.s.mu.Unlock()
		j.over, j.err = true, err
	}()
	return j
}

// start boots the machine for the first time. off is called, unlocked, each
// time that the machine has powered itself off.
func (b *box) start(spec instance.Spec, off func()) *job {
	return b.do(func(ctx context.Context, _ instance.Machine) error {
		m, err := b.s.cfg.Host.Start(ctx, spec)
		if err != nil {
			b.s.cfg.Log("%s: the machine did not start: %v", spec.ID, err)
			return err
		}
		b.s.mu.Lock()
		b.machine = m
		b.s.mu.Unlock()
		b.watch(m, off)
		return nil
	})
}

// watch calls off once the machine has powered itself off. A boot may leave
// the machine with the channel that is watched already.
func (b *box) watch(m instance.Machine, off func()) {
	gone := m.Off()
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if gone == b.watched {
		return
	}
	b.watched = gone
	go func() {
		select {
		case <-gone:
			off()
		case <-b.ctx.Done():
		}
	}()
}

// boot powers a stopped machine on.
func (b *box) boot(off func()) *job {
	return b.do(func(ctx context.Context, m instance.Machine) error {
		if m == nil {
			return context.Canceled
		}
		if err := m.Boot(ctx); err != nil {
			return err
		}
		b.watch(m, off)
		return nil
	})
}

// each runs work on a machine that has been started, else does nothing.
func (b *box) each(work func(ctx context.Context, m instance.Machine) error) *job {
	return b.do(func(ctx context.Context, m instance.Machine) error {
		if m == nil {
			return nil
		}
		return work(ctx, m)
	})
}

// end breaks off what the machine does and removes it.
func (b *box) end() *job {
	b.cancel()
	return b.each(func(_ context.Context, m instance.Machine) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return m.Terminate(ctx)
	})
}
