// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// controlSocket is the socket on which init serves the machine's tools.
const controlSocket = "/run/rehearsal/init.sock"

// request is a command line of systemctl or its other names.
type request struct {
	Args []string `json:"args"`
}

// result is the output and the exit status of a command.
type result struct {
	Out    string `json:"out"`
	Err    string `json:"err"`
	Status int    `json:"status"`
}

// requestInit implements systemctl, shutdown, reboot, poweroff and halt, which init
// executes.
func requestInit(args []string) int {
	r, err := sendRequest(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: connecting to the rehearsal's init: %v\n", filepath.Base(args[0]), err)
		return 1
	}
	fmt.Print(r.Out)
	fmt.Fprint(os.Stderr, r.Err)
	return r.Status
}

func sendRequest(args []string) (result, error) {
	var r result
	c, err := net.Dial("unix", controlSocket)
	if err != nil {
		return r, err
	}
	defer func() { _ = c.Close() }()
	if err := json.NewEncoder(c).Encode(request{args}); err != nil {
		return r, err
	}
	return r, json.NewDecoder(c).Decode(&r)
}

// listen serves the control socket.
func (p *firstProcess) listen() error {
	l, err := net.Listen("unix", controlSocket)
	if err != nil {
		return err
	}
	if err := os.Chmod(controlSocket, 0o666); err != nil { // every user may send requests
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.handleRequest(c)
		}
	}()
	return nil
}

func (p *firstProcess) handleRequest(c net.Conn) {
	defer func() { _ = c.Close() }()
	var q request
	if json.NewDecoder(c).Decode(&q) != nil || len(q.Args) == 0 {
		return
	}
	root, err := fromRoot(c)
	if err != nil {
		return
	}
	r, then := p.command(filepath.Base(q.Args[0]), q.Args[1:], root)
	_ = json.NewEncoder(c).Encode(r) // the client may have exited
	if then != nil {
		then()
	}
}

// fromRoot reports whether root opened the connection.
func fromRoot(c net.Conn) (bool, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return false, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false, err
	}
	var cred *unix.Ucred
	var err2 error
	if err := raw.Control(func(fd uintptr) { cred, err2 = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return false, err
	}
	if err2 != nil {
		return false, err2
	}
	return cred.Uid == 0, nil
}

// unsupported returns an error for an unsupported command. Reporting success without
// acting would make tests meaningless.
func unsupported(format string, args ...any) result {
	return result{Err: "rehearsal systemctl cannot " + fmt.Sprintf(format, args...) + "\n", Status: 1}
}
