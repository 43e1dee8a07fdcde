// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// sshServer answers SSH for one boot of a machine. The protocol is spoken here;
// all that a client asks for runs in the machine.
type sshServer struct {
	user     string
	boot     *boot
	server   ssh.Server
	listener net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool // also those that have not logged in yet
	closed bool
}

const (
	loginTimeout = 2 * time.Minute        // as sshd's LoginGraceTime
	lastWords    = 500 * time.Millisecond // that a terminal has to be drained
)

// listen takes the machine's address. A reboot may find it still in use for a
// moment.
func (m *machine) listen(ctx context.Context) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(m.spec.Address, strconv.Itoa(m.host.port)))
	if err != nil {
		return nil, fmt.Errorf("listening for SSH: %w", err)
	}
	return l, nil
}

// serve answers SSH on the listener until close.
func (b *boot) serve(m *machine, l net.Listener) {
	s := &sshServer{user: m.spec.User, boot: b, listener: l, conns: map[net.Conn]bool{}}
	s.server = ssh.Server{
		Version:           "rehearsal",
		HostSigners:       []ssh.Signer{m.key},
		PublicKeyHandler:  s.authorized,
		Handler:           s.session,
		SubsystemHandlers: map[string]ssh.SubsystemHandler{"sftp": s.session},
		ConnCallback:      s.connected,
	}
	b.ssh = s
	go func() { _ = s.server.Serve(l) }() // ends by close, with an error that says so
}

// connected notes a connection, so that close can end it in any state.
func (s *sshServer) connected(ctx ssh.Context, c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.conns[c] = true
	login := time.AfterFunc(loginTimeout, func() {
		if ctx.Value(ssh.ContextKeyPublicKey) == nil {
			_ = c.Close() // it never logged in
		}
	})
	context.AfterFunc(ctx, func() {
		login.Stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	})
	return c
}

// close drops every connection and listens no more.
func (s *sshServer) close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close() // dropped is dropped
	}
	s.mu.Unlock()
	_ = s.server.Close()
	_ = s.listener.Close() // the server may not have come to know it yet
}

// authorized says whether the key may log in now: the machine's own file
// governs, which a provisioner may have emptied.
func (s *sshServer) authorized(ctx ssh.Context, key ssh.PublicKey) bool {
	if ctx.User() != s.user {
		return false
	}
	answer, err := s.boot.ask(ctx, message{Op: opKeys, User: s.user})
	if err != nil {
		return false
	}
	for rest := answer.Data; len(rest) > 0; {
		var k gossh.PublicKey
		if k, _, _, rest, err = gossh.ParseAuthorizedKey(rest); err != nil {
			return false
		}
		if bytes.Equal(k.Marshal(), key.Marshal()) {
			return true
		}
	}
	return false
}

// session runs what the client asks for and reports how it ended.
func (s *sshServer) session(c ssh.Session) {
	r := &session{
		User:      s.user,
		Command:   c.RawCommand(),
		Subsystem: c.Subsystem(),
		Env:       c.Environ(),
		Client:    client(c),
	}
	pty, resized, isPty := c.Pty()
	if isPty {
		r.Pty, r.Term = true, pty.Term
		r.Rows, r.Columns = uint16(pty.Window.Height), uint16(pty.Window.Width)
	}
	var err error
	if isPty {
		err = s.onTerminal(c, r, resized)
	} else {
		err = s.onPipes(c, r)
	}
	if err != nil {
		_, _ = fmt.Fprintln(c.Stderr(), "rehearsal:", err)
		_ = c.Exit(255) // as ssh says of its own failures
	}
}

// client is the value of SSH_CONNECTION.
func client(c ssh.Session) string {
	split := func(a net.Addr) string {
		host, port, _ := net.SplitHostPort(a.String())
		return host + " " + port
	}
	return split(c.RemoteAddr()) + " " + split(c.LocalAddr())
}

// onPipes runs a session without a terminal.
func (s *sshServer) onPipes(c ssh.Session, r *session) error {
	var ours, theirs [3]*os.File
	for i := range ours {
		read, write, err := os.Pipe()
		if err != nil {
			return errors.Join(err, closeAll(ours[:i]), closeAll(theirs[:i]))
		}
		if ours[i], theirs[i] = read, write; i == 0 {
			ours[i], theirs[i] = write, read
		}
	}
	id, answers, err := s.boot.send(message{Op: opRun, Session: r}, theirs[:]...)
	err = errors.Join(err, closeAll(theirs[:]))
	if err == nil {
		_, err = first(c.Context(), answers)
	}
	if err != nil {
		return errors.Join(err, closeAll(ours[:]))
	}
	go func() {
		_, _ = io.Copy(ours[0], c) // the program may stop reading
		_ = ours[0].Close()
	}()
	go s.signals(c, id)
	var outputs sync.WaitGroup
	for i, w := range map[int]io.Writer{1: c, 2: c.Stderr()} {
		outputs.Go(func() {
			if _, err := io.Copy(w, ours[i]); err != nil {
				_ = ours[i].Close() // the client is gone: the program shall notice
			}
		})
	}
	end, ok := <-answers
	outputs.Wait() // as sshd does, also for what the program left behind
	_ = closeAll(ours[:])
	if !ok {
		return errDown
	}
	return exit(c, end.message)
}

// onTerminal runs a session on a pseudo-terminal.
func (s *sshServer) onTerminal(c ssh.Session, r *session, resized <-chan ssh.Window) error {
	id, answers, err := s.boot.send(message{Op: opRun, Session: r})
	if err != nil {
		return err
	}
	started, err := first(c.Context(), answers)
	if err != nil {
		return errors.Join(err, closeAll(started.files))
	}
	if len(started.files) != 1 {
		return errors.Join(errors.New("got no terminal"), closeAll(started.files))
	}
	master := started.files[0]
	defer func() { _ = master.Close() }() // hangs up what is left
	go s.signals(c, id)
	go func() {
		for w := range resized {
			size := &unix.Winsize{Row: uint16(w.Height), Col: uint16(w.Width)}
			if raw, err := master.SyscallConn(); err == nil {
				_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
			}
		}
	}()
	go func() {
		if _, err := io.Copy(master, c); err == nil {
			_, _ = master.Write([]byte{4}) // end of file, as a terminal says it
		}
	}()
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(c, master) // ends with EIO when the last program has
		close(drained)
	}()
	// A client that goes away hangs the terminal up.
	stop := context.AfterFunc(c.Context(), func() { _ = master.Close() })
	defer stop()
	end, ok := <-answers
	select {
	case <-drained:
	case <-time.After(lastWords):
	}
	if !ok {
		return errDown
	}
	return exit(c, end.message)
}

// signals passes the client's signals on while it is connected.
func (s *sshServer) signals(c ssh.Session, id int) {
	received := make(chan ssh.Signal, 1)
	c.Signals(received)
	for {
		select {
		case sig := <-received:
			_ = s.boot.wire.write(message{Op: opSignal, ID: id, Signal: strings.TrimPrefix(string(sig), "SIG")})
		case <-c.Context().Done():
			return
		}
	}
}

// exit tells the client how the program ended, as sshd does: by a status or by
// a signal.
func exit(c ssh.Session, m message) error {
	if m.Signal == "" {
		_ = c.Exit(m.Status) // the client may be gone
		return nil
	}
	_, _ = c.SendRequest("exit-signal", false, gossh.Marshal(struct {
		Signal     string
		CoreDumped bool
		Message    string
		Language   string
	}{m.Signal, m.Core, "", ""}))
	_ = c.Close()
	return nil
}

func closeAll(files []*os.File) error {
	var err error
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}
