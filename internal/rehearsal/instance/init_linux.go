// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// wireFD is the file descriptor of the wire in init.
const wireFD = 3

// firstProcess is a machine's init: it boots, runs the requests from the wire, and
// reaps orphans.
type firstProcess struct {
	wire     *wire
	family   *family
	services *services
	spec     Spec
	port     int

	mu           sync.Mutex
	sessions     map[int]int // pid by message ID
	shuttingDown bool        // shutting down
	timer        *time.Timer // timer of shutdown +N
}

// runInit is the main function of a machine's first process.
func runInit() int {
	closeInherited()
	syscall.Umask(0o022)
	// Sessions must not inherit signals that the server ignores; exec resets caught
	// signals. Signals from inside the machine do not affect init.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE)
	w, err := openWire(wireFD)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	m, _, err := w.receive()
	if err != nil || m.Plan == nil {
		fmt.Fprintln(os.Stderr, "reading the boot plan:", err)
		return 1
	}
	all, err := newFamily()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := &firstProcess{wire: w, family: all, spec: m.Plan.Spec, port: m.Plan.Port, sessions: map[int]int{}}
	p.services = newServices(p.family)
	response := message{ID: m.ID, Op: opBoot}
	first, err := p.boot(m.Plan)
	if err != nil {
		response.Err = err.Error()
	}
	if w.write(response) != nil || err != nil || m.Plan.Check {
		return 1
	}
	go p.startUp(first)
	for {
		m, files, err := w.receive()
		if err != nil {
			return 0 // the server has ended; all processes end with the first one
		}
		p.handle(m, files)
	}
}

// closeInherited closes file descriptors that the server inherited from its parent.
// exec closes those that Go opened.
func closeInherited() {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil || fd <= wireFD {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	unix.CloseOnExec(wireFD)
}

// boot sets up the machine and reports whether this is its first boot.
func (p *firstProcess) boot(plan *bootPlan) (first bool, err error) {
	if err := plan.Mounts.enter(); err != nil {
		return false, err
	}
	if err := unix.Sethostname([]byte(p.spec.ID)); err != nil {
		return false, fmt.Errorf("setting the host name: %w", err)
	}
	if plan.Check {
		return false, nil
	}
	if err := showIdentity(p.spec.ID); err != nil {
		return false, err
	}
	if err := p.listen(); err != nil {
		return false, err
	}
	return firstBoot(p.spec)
}

// startUp runs user data and services; logins are already possible.
func (p *firstProcess) startUp(first bool) {
	data := p.readUserData()
	data.runBootHooks()
	p.services.startEnabled()
	if first {
		data.runScripts()
	}
}

// handle processes a message of the server; it must return quickly.
func (p *firstProcess) handle(m message, files []*os.File) {
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	switch m.Op {
	case opRun:
		p.run(m, files)
	case opSignal:
		p.mu.Lock()
		pid := p.sessions[m.ID]
		p.mu.Unlock()
		if s := unix.SignalNum("SIG" + m.Signal); s != 0 && pid != 0 {
			p.family.signal(pid, s)
		}
	case opKeys:
		response := message{ID: m.ID, Op: opKeys}
		var err error
		if response.Data, err = authorizedKeys(m.User); err != nil {
			response.Err = err.Error()
		}
		_ = p.wire.write(response) // the reader detects a closed wire
	case opSync:
		unix.Sync()
		_ = p.wire.write(message{ID: m.ID, Op: opSync})
	case opOff:
		go p.shutDown(false)
	}
}

// stopTimeout is the time between SIGTERM and SIGKILL.
const stopTimeout = 3 * time.Second

// shutDown ends all processes, this one last.
func (p *firstProcess) shutDown(reboot bool) {
	p.mu.Lock()
	already := p.shuttingDown
	p.shuttingDown = true
	p.mu.Unlock()
	if already {
		return
	}
	p.services.stopAll()
	for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGCONT} {
		_ = unix.Kill(-1, s)
	}
	for end := time.Now().Add(stopTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		told := len(p.sessions) == 0
		p.mu.Unlock()
		if told && errors.Is(unix.Kill(-1, 0), unix.ESRCH) {
			break
		}
	}
	_ = p.wire.write(message{Op: opOff, Reboot: reboot})
	os.Exit(0) // the kernel kills the rest
}
