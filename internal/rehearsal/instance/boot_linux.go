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

// boot is a running machine: its first process, the wire to it, and the SSH server.
type boot struct {
	cmd    *exec.Cmd
	wire   *wire
	ended  chan struct{} // closed once the first process, and thus every process, has ended
	reboot atomic.Bool   // the machine ended for a reboot
	ssh    *sshServer

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan reply // nil once the wire is closed
}

// reply is a response to a message.
type reply struct {
	message
	files []*os.File
}

var errDown = errors.New("the machine is shut down")

// power starts the machine's first process and waits until it has booted, or, for a
// check, until it has mounted everything.
func (m *machine) power(ctx context.Context, check bool) (*boot, error) {
	w, theirs, err := newWires()
	if err != nil {
		return nil, err
	}
	console, err := os.Create(m.hostPath("console"))
	if err != nil {
		_ = theirs.Close()
		w.close()
		return nil, err
	}
	defer func() { _ = console.Close() }()
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{initName},
		Env:        []string{"PATH=" + path, "LANG=C.UTF-8"}, // nothing of the server's
		Dir:        m.host.dir,
		Stdout:     console,
		Stderr:     console,
		ExtraFiles: []*os.File{theirs}, // wireFD
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Pdeathsig:  unix.SIGKILL, // on the end of the mount thread
			Setsid:     true,         // Ctrl-C must not reach the machine
		},
	}
	err = m.host.mountThread.do(cmd.Start)
	// Only the child may hold its end: the server detects the child's death by the end
	// closing.
	_ = theirs.Close()
	if err != nil {
		w.close()
		return nil, fmt.Errorf("starting a process in new namespaces: %w", err)
	}
	b := &boot{cmd: cmd, wire: w, ended: make(chan struct{}), waiting: map[int]chan reply{}}
	go b.listen()
	if err := b.sendPlan(ctx, m, check); err != nil {
		b.kill()
		if output, _ := os.ReadFile(m.hostPath("console")); len(output) > 0 {
			err = fmt.Errorf("%w (%s)", err, strings.TrimSpace(string(output)))
		}
		return nil, err
	}
	return b, nil
}

// sendPlan sends the boot plan to the first process.
func (b *boot) sendPlan(ctx context.Context, m *machine, check bool) error {
	plan := &bootPlan{Spec: m.spec, Port: m.host.port, Mounts: m.mounts(), Check: check}
	_, err := b.sendRequest(ctx, message{Op: opBoot, Plan: plan})
	return err
}

// listen distributes the messages of init until init ends.
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
			delete(b.waiting, m.ID) // last message of this ID
		}
		b.mu.Unlock()
		if ok {
			c <- reply{m, files}
		}
	}
	_ = b.cmd.Process.Kill() // unusable without the wire
	_ = b.cmd.Wait()         // the exit status does not matter
	b.wire.close()
	b.mu.Lock()
	for _, c := range b.waiting {
		close(c)
	}
	b.waiting = nil
	b.mu.Unlock()
	close(b.ended)
}

// send sends m under a new ID. The channel delivers its replies, and is closed if the
// machine shuts down.
func (b *boot) send(m message, files ...*os.File) (int, <-chan reply, error) {
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		return 0, nil, errDown
	}
	b.lastID++
	m.ID = b.lastID
	c := make(chan reply, 2) // maximum number of replies
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

// sendRequest sends m and waits for its first reply.
func (b *boot) sendRequest(ctx context.Context, m message, files ...*os.File) (reply, error) {
	_, replies, err := b.send(m, files...)
	if err != nil {
		return reply{}, err
	}
	return firstReply(ctx, replies)
}

// firstReply waits for a reply.
func firstReply(ctx context.Context, replies <-chan reply) (reply, error) {
	select {
	case r, ok := <-replies:
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

// closeConnections closes the listener and every connection to the machine.
func (b *boot) closeConnections() {
	if b.ssh != nil {
		b.ssh.close()
	}
}

// kill ends the machine's processes immediately.
func (b *boot) kill() {
	_ = b.cmd.Process.Kill() // it may have ended
	<-b.ended
}
