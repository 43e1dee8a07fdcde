// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// boot is a machine while it is on: its first process, the wire to it, and the
// SSH server.
type boot struct {
	cmd    *exec.Cmd
	wire   *wire
	ended  chan struct{} // closed once the first process has, and so all
	reboot atomic.Bool   // it ended in order to come back
	ssh    *sshServer

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan reply // nil once the wire is gone
}

// reply is an answer to a message.
type reply struct {
	message
	files []*os.File
}

var errDown = errors.New("the machine went down")

// power starts the machine's first process and waits until it has booted, or,
// for a check, until it could.
func (m *machine) power(ctx context.Context, check bool) (*boot, error) {
	w, theirs, err := newWires()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	console, err := os.Create(m.hostPath("console"))
	if err != nil {
		w.close()
		return nil, err
	}
	defer func() { _ = console.Close() }()
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{initName},
		Env:        []string{"PATH=" + path, "LANG=C.UTF-8"}, // nothing of ours
		Dir:        m.host.dir,
		Stdout:     console,
		Stderr:     console,
		ExtraFiles: []*os.File{theirs}, // wireFD
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Pdeathsig:  unix.SIGKILL, // of the den
			Setsid:     true,         // Ctrl-C is for the server
		},
	}
	if err := m.host.den.do(cmd.Start); err != nil {
		w.close()
		return nil, fmt.Errorf("starting a process in namespaces of its own: %w", err)
	}
	b := &boot{cmd: cmd, wire: w, ended: make(chan struct{}), waiting: map[int]chan reply{}}
	go b.listen()
	if err := b.up(ctx, m, check); err != nil {
		b.kill()
		if said, _ := os.ReadFile(m.hostPath("console")); len(said) > 0 {
			err = fmt.Errorf("%w (%s)", err, strings.TrimSpace(string(said)))
		}
		return nil, err
	}
	return b, nil
}

// up tells the first process what to boot.
func (b *boot) up(ctx context.Context, m *machine, check bool) error {
	plan := &bootPlan{Spec: m.spec, Port: m.host.port, Mounts: m.mounts(), Check: check}
	_, err := b.ask(ctx, message{Op: opBoot, Plan: plan})
	return err
}

// listen hands out what init says, until it has ended.
func (b *boot) listen() {
	for {
		m, files, err := b.wire.receive()
		if err != nil {
			break
		}
		if m.ID == 0 && m.Op == opOff {
			b.reboot.Store(m.Reboot)
			continue
		}
		b.mu.Lock()
		c, ok := b.waiting[m.ID]
		if m.Op != opRun || m.Err != "" {
			delete(b.waiting, m.ID) // nothing follows
		}
		b.mu.Unlock()
		if ok {
			c <- reply{m, files}
		}
	}
	_ = b.cmd.Process.Kill() // without a wire it is no use
	_ = b.cmd.Wait()         // by a signal or not: it is gone
	b.wire.close()
	b.mu.Lock()
	for _, c := range b.waiting {
		close(c)
	}
	b.waiting = nil
	b.mu.Unlock()
	close(b.ended)
}

// send sends m under a new ID. Its answers come over the channel, which is
// closed if the machine goes down.
func (b *boot) send(m message, files ...*os.File) (int, <-chan reply, error) {
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		return 0, nil, errDown
	}
	b.lastID++
	m.ID = b.lastID
	c := make(chan reply, 2) // the most answers that there are
	b.waiting[m.ID] = c
	b.mu.Unlock()
	if err := b.wire.write(m, files...); err != nil {
		b.mu.Lock()
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, io.ErrClosedPipe) {
			err = errDown
		}
		return 0, nil, err
	}
	return m.ID, c, nil
}

// ask sends m and waits for its first answer.
func (b *boot) ask(ctx context.Context, m message, files ...*os.File) (reply, error) {
	_, answers, err := b.send(m, files...)
	if err != nil {
		return reply{}, err
	}
	return first(ctx, answers)
}

// first waits for an answer.
func first(ctx context.Context, answers <-chan reply) (reply, error) {
	select {
	case r, ok := <-answers:
		if !ok {
			return reply{}, errDown
		}
		if r.Err != "" {
			return r, errors.New(r.Err)
		}
		return r, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

// hangUp closes every connection to the machine and listens no more.
func (b *boot) hangUp() {
	if b.ssh != nil {
		b.ssh.close()
	}
}

// kill ends the machine's processes at once.
func (b *boot) kill() {
	_ = b.cmd.Process.Kill() // it may have ended
	<-b.ended
}
