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

// firstProcess is a machine's init: it boots, starts what is asked for over
// the wire, and waits for orphans.
type firstProcess struct {
	wire     *wire
	family   *family
	services *services
	spec     Spec
	port     int

	mu       sync.Mutex
	sessions map[int]int // pid by message ID
	going    bool        // down
	timer    *time.Timer // of shutdown +N
}

// runInit is the main of a machine's first process.
func runInit() int {
	closeInherited()
	syscall.Umask(0o022)
	// What the server ignores must not be ignored in sessions; a caught signal
	// is reset by exec. They come from inside only, and mean nothing to init.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE)
	w, err := openWire(wireFD)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	m, _, err := w.receive()
	if err != nil || m.Plan == nil {
		fmt.Fprintln(os.Stderr, "no plan to boot by:", err)
		return 1
	}
	all, err := newFamily()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := &firstProcess{wire: w, family: all, spec: m.Plan.Spec, port: m.Plan.Port, sessions: map[int]int{}}
	p.services = newServices(p.family)
	answer := message{ID: m.ID, Op: opBoot}
	first, err := p.boot(m.Plan)
	if err != nil {
		answer.Err = err.Error()
	}
	if w.write(answer) != nil || err != nil || m.Plan.Check {
		return 1
	}
	go p.startUp(first)
	for {
		m, files, err := w.receive()
		if err != nil {
			return 0 // the server is gone; so is everything, with the first process
		}
		p.handle(m, files)
	}
}

// closeInherited closes what the server was started with and never knew of;
// what Go opens itself is closed by exec.
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

// boot makes the machine and says whether it is its first time.
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

// startUp runs what a machine runs by itself, while one can log in already.
func (p *firstProcess) startUp(first bool) {
	data := p.readUserData()
	data.runBootHooks()
	p.services.startEnabled()
	if first {
		data.runScripts()
	}
}

// handle does what the server asks; nothing in it may take long.
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
		answer := message{ID: m.ID, Op: opKeys}
		var err error
		if answer.Data, err = authorizedKeys(m.User); err != nil {
			answer.Err = err.Error()
		}
		_ = p.wire.write(answer) // the reader notices that the wire is gone
	case opSync:
		unix.Sync()
		_ = p.wire.write(message{ID: m.ID, Op: opSync})
	case opOff:
		go p.goDown(false)
	}
}

// grace is how long processes have between SIGTERM and SIGKILL.
const grace = 3 * time.Second

// goDown ends everything, and this process last.
func (p *firstProcess) goDown(reboot bool) {
	p.mu.Lock()
	already := p.going
	p.going = true
	p.mu.Unlock()
	if already {
		return
	}
	p.services.stopAll()
	for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGCONT} {
		_ = unix.Kill(-1, s)
	}
	for end := time.Now().Add(grace); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
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
