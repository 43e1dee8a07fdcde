// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// run starts a session and sends two replies: at its start and at its end. files are
// its standard input, output and error, unless it has a terminal.
func (p *firstProcess) run(m message, files []*os.File) {
	status, master, err := p.startSession(m.ID, m.Session, files)
	response := message{ID: m.ID, Op: opRun}
	if err != nil {
		response.Err = err.Error()
	}
	if master != nil {
		_ = p.wire.write(response, master)
		_ = master.Close() // the server has its own descriptor
	} else {
		_ = p.wire.write(response)
	}
	if err != nil {
		return
	}
	go func() {
		s := <-status
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.sessions, m.ID)
		}()
		end := message{ID: m.ID, Op: opExit, Status: s.ExitStatus()}
		if s.Signaled() {
			end.Signal, end.Core = strings.TrimPrefix(unix.SignalName(s.Signal()), "SIG"), s.CoreDump()
		}
		_ = p.wire.write(end) // the server may have stopped listening
	}()
}

// startSession starts the user's shell, or the subsystem's program.
func (p *firstProcess) startSession(id int, s *session, files []*os.File) (<-chan unix.WaitStatus, *os.File, error) {
	p.mu.Lock()
	shuttingDown := p.shuttingDown
	p.mu.Unlock()
	if shuttingDown {
		return nil, nil, errors.New("the machine is shutting down")
	}
	a, err := findAccount(s.User)
	if err != nil {
		return nil, nil, err
	}
	file, argv, err := program(a, s)
	if err != nil {
		return nil, nil, err
	}
	attr := &syscall.ProcAttr{
		Dir: a.home,
		Env: environment(a, s),
		Sys: &syscall.SysProcAttr{
			Setsid:     true,
			Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: a.groups()},
		},
	}
	if info, err := os.Stat(a.home); err != nil || !info.IsDir() {
		attr.Dir = "/"
	}
	var master *os.File
	if s.Pty {
		var slave *os.File
		if master, slave, err = openTerminal(a, s); err != nil {
			return nil, nil, err
		}
		defer func() { _ = slave.Close() }()
		attr.Env = append(attr.Env, "TERM="+s.Term, "SSH_TTY="+slave.Name())
		attr.Sys.Setctty = true // controlling terminal is file 0
		files = []*os.File{slave, slave, slave}
	}
	if len(files) != 3 {
		return nil, nil, fmt.Errorf("a session requires 3 files, got %d", len(files))
	}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd())
	}
	p.mu.Lock() // so that signals find the session
	defer p.mu.Unlock()
	pid, status, err := p.family.start(file, argv, attr)
	if err != nil {
		if master != nil {
			_ = master.Close()
		}
		return nil, nil, fmt.Errorf("starting %s: %w", file, err)
	}
	p.sessions[id] = pid
	return status, master, nil
}

// program returns the program of a session.
func program(a account, s *session) (file string, argv []string, err error) {
	base := filepath.Base(a.shell)
	switch {
	case s.Subsystem == "sftp":
		return toolPath, []string{toolDir + "/sftp-server"}, nil
	case s.Subsystem != "":
		return "", nil, fmt.Errorf("no subsystem %q", s.Subsystem)
	case s.Command == "":
		return a.shell, []string{"-" + base}, nil
	}
	return a.shell, []string{base, "-c", s.Command}, nil
}

// with sets a variable. glibc uses the first value of a name, shells the last.
func with(env []string, v string) []string {
	name, _, _ := strings.Cut(v, "=")
	return append(slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }), v)
}

// environment returns the environment that sshd and pam_env give to a session, without
// the server's own.
func environment(a account, s *session) []string {
	env := []string{
		"USER=" + a.name, "LOGNAME=" + a.name, "HOME=" + a.home, "SHELL=" + a.shell,
		"SSH_CONNECTION=" + s.Client, "LANG=C.UTF-8",
	}
	if c := strings.Fields(s.Client); len(c) == 4 {
		env = append(env, "SSH_CLIENT="+strings.Join([]string{c[0], c[1], c[3]}, " "))
	}
	content, _ := os.ReadFile("/etc/environment") // the file is optional
	for line := range strings.Lines(string(content)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			env = with(env, strings.TrimPrefix(name, "export ")+"="+strings.Trim(value, `"'`))
		}
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append(env, "PATH="+path)
	}
	for _, v := range s.Env { // like Debian's AcceptEnv
		if strings.HasPrefix(v, "LANG=") || strings.HasPrefix(v, "LC_") {
			env = with(env, v)
		}
	}
	return env
}

// openTerminal creates a pseudo-terminal that belongs to the account.
func openTerminal(a account, s *session) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening a terminal: %w", err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	fail := func(err error) (*os.File, *os.File, error) {
		return nil, nil, errors.Join(fmt.Errorf("opening a terminal: %w", err), master.Close())
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return fail(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return fail(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Columns}); err != nil {
		return fail(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	if err := os.Chown(name, a.uid, -1); err != nil {
		return fail(err)
	}
	if slave, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return fail(err)
	}
	return master, slave, nil
}
