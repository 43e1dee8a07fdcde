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

// sshServer serves SSH for one boot of a machine. The protocol runs in the server; the
// client's requests run in the machine.
type sshServer struct {
	user     string
	pushed   func() []byte // see Spec
	boot     *boot
	server   ssh.Server
	listener net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool // including connections before login
	closed bool
}

const (
	loginTimeout = 2 * time.Minute        // like sshd's LoginGraceTime
	drainTimeout = 500 * time.Millisecond // time to drain a terminal
)

// listen listens on the machine's address, which can still be in use for a moment after
// a reboot.
func (m *machine) listen(ctx context.Context) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(m.spec.Address, strconv.Itoa(m.host.port)))
	if err != nil {
		return nil, fmt.Errorf("listening for SSH: %w", err)
	}
	return l, nil
}

// serve serves SSH on the listener until close.
func (b *boot) serve(m *machine, l net.Listener) {
	s := &sshServer{user: m.spec.User, pushed: m.spec.PushedKeys, boot: b, listener: l, conns: map[net.Conn]bool{}}
	s.server = ssh.Server{
		Version:           "rehearsal",
		HostSigners:       []ssh.Signer{m.key},
		PublicKeyHandler:  s.authorized,
		Handler:           s.session,
		SubsystemHandlers: map[string]ssh.SubsystemHandler{"sftp": s.session},
		ConnCallback:      s.connected,
	}
	b.ssh = s
	go func() { _ = s.server.Serve(l) }() // returns an error after close
}

// connected records a connection, so that close can end it in any state.
func (s *sshServer) connected(ctx ssh.Context, c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.conns[c] = true
	login := time.AfterFunc(loginTimeout, func() {
		if ctx.Value(ssh.ContextKeyPublicKey) == nil {
			_ = c.Close() // login timed out
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

// close closes the listener and every connection.
func (s *sshServer) close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close() // errors of a dropped connection do not matter
	}
	s.mu.Unlock()
	_ = s.server.Close()
	_ = s.listener.Close() // the server may not know the listener yet
}

// authorized reports whether the key may log in now, by the machine's own
// authorized_keys, which a provisioner can change.
func (s *sshServer) authorized(ctx ssh.Context, key ssh.PublicKey) bool {
	if ctx.User() != s.user {
		return false
	}
	response, err := s.boot.sendRequest(ctx, message{Op: opKeys, User: s.user})
	if err != nil {
		return false
	}
	rest := response.Data
	if s.pushed != nil {
		rest = append(append(rest, '\n'), s.pushed()...)
	}
	for rest = bytes.TrimSpace(rest); len(rest) > 0; {
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

// session runs the client's request and reports its end.
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
		_ = c.Exit(255) // ssh's status for its own failures
	}
}

// client returns the value of SSH_CONNECTION.
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
	id, replies, err := s.boot.send(message{Op: opRun, Session: r}, theirs[:]...)
	err = errors.Join(err, closeAll(theirs[:]))
	if err == nil {
		_, err = firstReply(c.Context(), replies)
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
				_ = ours[i].Close() // the client has disconnected: close the pipe for the program
			}
		})
	}
	end, ok := <-replies
	outputs.Wait() // like sshd, includes output of background processes
	_ = closeAll(ours[:])
	if !ok {
		return errDown
	}
	return exit(c, end.message)
}

// onTerminal runs a session on a pseudo-terminal.
func (s *sshServer) onTerminal(c ssh.Session, r *session, resized <-chan ssh.Window) error {
	id, replies, err := s.boot.send(message{Op: opRun, Session: r})
	if err != nil {
		return err
	}
	started, err := firstReply(c.Context(), replies)
	if err != nil {
		return errors.Join(err, closeAll(started.files))
	}
	if len(started.files) != 1 {
		return errors.Join(errors.New("init sent no terminal"), closeAll(started.files))
	}
	master := started.files[0]
	defer func() { _ = master.Close() }() // sends SIGHUP to the remaining processes
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
			_, _ = master.Write([]byte{4}) // end of file on a terminal
		}
	}()
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(c, master) // returns EIO when the last program ends
		close(drained)
	}()
	// A disconnected client hangs up the terminal.
	stop := context.AfterFunc(c.Context(), func() { _ = master.Close() })
	defer stop()
	end, ok := <-replies
	select {
	case <-drained:
	case <-time.After(drainTimeout):
	}
	if !ok {
		return errDown
	}
	return exit(c, end.message)
}

// signals forwards the client's signals while it is connected.
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

// exit reports the end of the program to the client, like sshd: by a status or a
// signal.
func exit(c ssh.Session, m message) error {
	if m.Signal == "" {
		_ = c.Exit(m.Status) // the client may have disconnected
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
