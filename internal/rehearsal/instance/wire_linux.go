// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// The server and a machine's init communicate over one socket pair. A packet is a JSON
// message, with open files attached. init replies to a request with the same ID; its
// own messages have ID 0.

// op is the type of a message.
type op string

const (
	opBoot   op = "boot"   // server: the boot plan; init: booted, or an error
	opRun    op = "run"    // server: start a session; init: started, with the terminal if requested
	opExit   op = "exit"   // init: the session of this ID has ended
	opSignal op = "signal" // server: signal the session of this ID
	opKeys   op = "keys"   // server: authorized keys of User; init: Data
	opOff    op = "off"    // server: power off; init: powering off or rebooting
	opSync   op = "sync"   // server: sync the file systems; init: done
)

// message is one packet in either direction; each op uses some of the fields.
type message struct {
	ID      int       `json:"id,omitempty"`
	Op      op        `json:"op"`
	Err     string    `json:"err,omitempty"`
	Plan    *bootPlan `json:"plan,omitempty"`
	Session *session  `json:"session,omitempty"`
	User    string    `json:"user,omitempty"`
	Data    []byte    `json:"data,omitempty"`
	Signal  string    `json:"signal,omitempty"` // without SIG, such as KILL
	Status  int       `json:"status,omitempty"` // exit status, if Signal is empty
	Core    bool      `json:"core,omitempty"`
	Reboot  bool      `json:"reboot,omitempty"`
}

// bootPlan contains the settings of a boot.
type bootPlan struct {
	Spec   Spec   `json:"spec"`
	Port   int    `json:"port"`
	Mounts mounts `json:"mounts"`
	// Check ends init as soon as everything is mounted.
	Check bool `json:"check,omitempty"`
}

// session is a session request of an SSH client.
type session struct {
	User      string   `json:"user"`
	Command   string   `json:"command,omitempty"`   // for the user's shell; empty for a login shell
	Subsystem string   `json:"subsystem,omitempty"` // replaces Command
	Env       []string `json:"env,omitempty"`
	Client    string   `json:"client"` // SSH_CONNECTION
	Term      string   `json:"term,omitempty"`
	Rows      uint16   `json:"rows,omitempty"`
	Columns   uint16   `json:"columns,omitempty"`
	Pty       bool     `json:"pty,omitempty"`
}

const (
	wireBuffer  = 4 << 20 // socket buffer in bytes; at least one packet
	wireMessage = 1 << 20 // maximum message in bytes; a command line is at most 128 KiB
	wireFiles   = 3       // maximum number of files in a message
)

// wire is one end of the socket pair. Its methods are safe for concurrent use, except
// for receive.
type wire struct {
	conn *net.UnixConn
	send sync.Mutex
	poll bool // make received files support deadlines
	buf  []byte
}

// newWires returns a connected pair: an end for this process, and one for a child.
func newWires() (*wire, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("creating a socket pair: %w", err)
	}
	for _, fd := range fds {
		// Root can exceed the system's limit. Without this, long commands fail.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, wireBuffer)
	}
	theirs := os.NewFile(uintptr(fds[1]), "wire")
	ours, err := openWire(fds[0])
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	ours.poll = true
	return ours, theirs, nil
}

// openWire opens the end that this process inherited.
func openWire(fd int) (*wire, error) {
	f := os.NewFile(uintptr(fd), "wire")
	defer func() { _ = f.Close() }() // FileConn has its own descriptor
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("opening the wire: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("opening the wire: got %T, want a unix socket", c)
	}
	return &wire{conn: u}, nil
}

// write sends m and copies of files, which remain the caller's.
func (w *wire) write(m message, files ...*os.File) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > wireMessage {
		return fmt.Errorf("message of %d bytes exceeds the limit of %d", len(b), wireMessage)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	w.send.Lock()
	defer w.send.Unlock()
	_, _, err = w.conn.WriteMsgUnix(b, rights, nil)
	return err
}

// receive waits for a message. The caller owns the files of the message.
func (w *wire) receive() (message, []*os.File, error) {
	if w.buf == nil {
		w.buf = make([]byte, wireMessage)
	}
	var m message
	rights := make([]byte, unix.CmsgSpace(4*wireFiles))
	n, rn, _, _, err := w.conn.ReadMsgUnix(w.buf, rights)
	if err != nil {
		return m, nil, err
	}
	var files []*os.File
	if rn > 0 {
		controls, err := unix.ParseSocketControlMessage(rights[:rn])
		if err != nil {
			return m, nil, err
		}
		for _, c := range controls {
			fds, err := unix.ParseUnixRights(&c)
			if err != nil {
				return m, files, err
			}
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				if w.poll {
					_ = unix.SetNonblock(fd, true)
				}
				files = append(files, os.NewFile(uintptr(fd), "passed"))
			}
		}
	}
	if err := json.Unmarshal(w.buf[:n], &m); err != nil {
		return m, files, fmt.Errorf("reading a message of %d bytes: %w", n, err)
	}
	return m, files, nil
}

func (w *wire) close() { _ = w.conn.Close() }
