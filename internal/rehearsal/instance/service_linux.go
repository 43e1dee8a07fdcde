// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// service is a unit that was started at least once.
type service struct {
	family *family
	name   string

	op sync.Mutex // held during a start or a stop

	mu         sync.Mutex
	file       *unitFile
	state      string // as systemctl is-active prints it
	pid        int    // of the main process, 0 without one
	ended      chan struct{}
	status     unix.WaitStatus // of the main process, once it has ended
	invocation string          // id in the environment of all its processes
	followed   bool            // a goroutine waits for the main process
	expectEnd  bool            // the main process is expected to end
	stopping   bool            // and must not restart
	starts     []time.Time     // recent starts, for the limit
	retry      *time.Timer
}

// Defaults of systemd-system.conf(5).
const (
	startTimeout  = 90 * time.Second
	restartDelay  = 100 * time.Millisecond
	limitInterval = 10 * time.Second
	limitBurst    = 5
)

// logDir contains a log file for each service.
const logDir = "/run/rehearsal/log"

func (s *service) current() (state string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.pid
}

func (s *service) set(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// start starts the service by its current unit file, unless it runs.
func (s *service) start(u *unitFile) error {
	s.op.Lock()
	defer s.op.Unlock()
	s.cancelRetry()
	if state, _ := s.current(); state == "active" {
		return nil
	}
	unmet, err := u.conditions()
	if err != nil {
		return err
	}
	if unmet != "" {
		s.print("%s was skipped because of an unmet condition check (%s).", s.name, unmet)
		return nil
	}
	ignored, err := u.check()
	if err != nil {
		return err
	}
	if len(ignored) > 0 {
		s.print("rehearsal: ignoring %s", strings.Join(ignored, ", "))
	}
	if err := s.limit(u); err != nil {
		s.set("failed")
		return err
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	s.mu.Lock()
	s.file, s.state, s.stopping, s.invocation = u, "activating", false, hex.EncodeToString(id[:])
	s.pid, s.status, s.ended, s.followed, s.expectEnd = 0, 0, make(chan struct{}), false, false
	s.mu.Unlock()
	if err := s.bringUp(u); err != nil {
		s.abort()
		s.print("Failed to start %s: %v", s.name, err)
		s.scheduleRestart(u, false)
		return err
	}
	return nil
}

// abort cleans up after a failed start.
func (s *service) abort() {
	s.mu.Lock()
	followed := s.followed
	s.expectEnd = true
	s.mu.Unlock()
	s.killAll(unix.SIGKILL)
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if followed {
		<-ended
	} else {
		close(ended)
	}
	s.mu.Lock()
	s.pid, s.state = 0, "failed"
	s.mu.Unlock()
}

// limit rejects too many starts.
func (s *service) limit(u *unitFile) error {
	interval, err := u.span("Unit.StartLimitIntervalSec", limitInterval)
	if err != nil {
		return err
	}
	burst := limitBurst
	if v := u.get("Unit.StartLimitBurst"); v != "" {
		if burst, err = strconv.Atoi(v); err != nil {
			return fmt.Errorf("StartLimitBurst=%s is not a number", v)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.starts) > 0 && time.Since(s.starts[0]) > interval {
		s.starts = s.starts[1:]
	}
	if interval > 0 && burst > 0 && len(s.starts) >= burst {
		return errors.New("start request repeated too quickly")
	}
	s.starts = append(s.starts, time.Now())
	return nil
}

// bringUp runs the commands of a start.
func (s *service) bringUp(u *unitFile) error {
	r, err := newRunner(s, u)
	if err != nil {
		return err
	}
	defer r.close()
	timeout, err := u.span("Service.TimeoutStartSec", startTimeout)
	if err != nil {
		return err
	}
	if err := r.all("ExecStartPre", timeout); err != nil {
		return err
	}
	kind := u.get("Service.Type")
	if kind == "oneshot" {
		if err := r.all("ExecStart", 0); err != nil {
			return err
		}
		if err := r.all("ExecStartPost", timeout); err != nil {
			return err
		}
		if u.isTrue("Service.RemainAfterExit") {
			s.set("active")
		} else {
			s.killAll(unix.SIGKILL)
			s.set("inactive")
		}
		return nil
	}
	var ready <-chan struct{}
	if kind == "notify" {
		if ready, err = r.notifySocket(); err != nil {
			return err
		}
	}
	line, err := r.parse(u.get("Service.ExecStart"))
	if err != nil {
		return err
	}
	pid, status, err := r.spawn(line)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.pid = pid
	s.mu.Unlock()
	switch kind {
	case "forking":
		if err := s.forked(u, status, timeout); err != nil {
			return err
		}
	case "notify":
		select {
		case <-ready:
		case st := <-status:
			return fmt.Errorf("ended (%s) before it was ready", describe(st))
		case <-after(timeout):
			return errors.New("timed out before it was ready")
		}
		fallthrough
	default:
		s.watch(u, status)
	}
	s.set("active")
	return r.all("ExecStartPost", timeout)
}

// after is time.After; 0 means forever.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

// forked waits for the first process, and then follows the process that PIDFile names.
func (s *service) forked(u *unitFile, status <-chan unix.WaitStatus, timeout time.Duration) error {
	select {
	case st := <-status:
		if st != 0 {
			return fmt.Errorf("ended with %s", describe(st))
		}
	case <-after(timeout):
		return errors.New("timed out")
	}
	for end := time.Now().Add(pidFileWait); ; time.Sleep(10 * time.Millisecond) {
		if pid := pidFile(u); pid != 0 {
			s.mu.Lock()
			s.pid = pid
			s.mu.Unlock()
			s.watch(u, s.family.adopt(pid))
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("PIDFile=%s does not name a running process", u.get("Service.PIDFile"))
		}
	}
}

// pidFileWait is the maximum time between the end of the first process and the creation
// of PIDFile.
const pidFileWait = 5 * time.Second

// pidFile returns the running process that PIDFile names, or 0.
func pidFile(u *unitFile) int {
	file, err := u.expand(u.get("Service.PIDFile"))
	if err != nil || file == "" {
		return 0
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join("/run", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 || unix.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

// watch starts following the main process.
func (s *service) watch(u *unitFile, status <-chan unix.WaitStatus) {
	s.mu.Lock()
	s.followed = true
	s.mu.Unlock()
	go s.follow(u, status)
}

// follow waits for the end of the main process and handles it.
func (s *service) follow(u *unitFile, status <-chan unix.WaitStatus) {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	st := <-status
	// A daemon can hand over to another process, for example on an upgrade.
	for pid := pidFile(u); pid != 0; pid = pidFile(u) {
		s.mu.Lock()
		s.pid = pid
		s.mu.Unlock()
		st = <-s.family.adopt(pid)
	}
	s.mu.Lock()
	s.pid, s.status = 0, st
	expected := s.expectEnd
	close(s.ended)
	s.mu.Unlock()
	if expected {
		return // the caller that expects the end handles it
	}
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	superseded := s.ended != ended
	s.mu.Unlock()
	if superseded || s.endExpected() {
		return
	}
	s.print("%s: main process ended with %s", s.name, describe(st))
	if r, err := newRunner(s, u); err == nil {
		_ = r.all("ExecStopPost", startTimeout) // the log contains its failure
		r.close()
	}
	if u.get("Service.KillMode") != "process" {
		s.killAll(unix.SIGKILL)
	}
	succeeded := succeeded(u, st)
	switch {
	case succeeded && u.isTrue("Service.RemainAfterExit"):
		return
	case succeeded:
		s.set("inactive")
	default:
		s.set("failed")
	}
	s.scheduleRestart(u, succeeded)
}

// endExpected reports whether another goroutine handles the end of the main process.
func (s *service) endExpected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expectEnd
}

// succeeded reports whether a process ended successfully.
func succeeded(u *unitFile, st unix.WaitStatus) bool {
	if st.Signaled() {
		switch st.Signal() {
		case unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGPIPE:
			return true
		}
		return false
	}
	return st.ExitStatus() == 0 || listed(u, "Service.SuccessExitStatus", st)
}

// listed reports whether a setting lists the exit status.
func listed(u *unitFile, setting string, st unix.WaitStatus) bool {
	return st.Exited() && slices.Contains(u.words(setting), strconv.Itoa(st.ExitStatus()))
}

// scheduleRestart schedules a restart according to Restart.
func (s *service) scheduleRestart(u *unitFile, succeeded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := false
	switch u.get("Service.Restart") {
	case "always":
		want = true
	case "on-success":
		want = succeeded
	case "on-failure":
		want = !succeeded
	case "on-abnormal", "on-abort":
		want = s.status.Signaled() && !succeeded
	}
	if !want || s.stopping || listed(u, "Service.RestartPreventExitStatus", s.status) {
		return
	}
	delay, err := u.span("Service.RestartSec", restartDelay)
	if err != nil {
		delay = restartDelay
	}
	s.state = "activating"
	s.retry = time.AfterFunc(delay, func() { _ = s.start(u) }) // start logs its error
}

func (s *service) cancelRetry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retry != nil {
		s.retry.Stop()
		s.retry = nil
	}
}

// stop ends the service. A non-zero maximum limits the time.
func (s *service) stop(maximum time.Duration) error {
	s.cancelRetry()
	s.mu.Lock()
	s.stopping = true // a running start stops waiting for its process
	s.mu.Unlock()
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	u, pid, ended, state := s.file, s.pid, s.ended, s.state
	s.mu.Unlock()
	if u == nil || state == "inactive" || state == "failed" {
		s.mu.Lock()
		s.stopping = false
		s.mu.Unlock()
		return nil
	}
	timeout, err := u.span("Service.TimeoutStopSec", startTimeout)
	if err != nil {
		return err
	}
	if maximum > 0 && (timeout == 0 || timeout > maximum) {
		timeout = maximum
	}
	s.mu.Lock()
	s.state, s.expectEnd = "deactivating", true
	select {
	case <-ended:
		pid = 0 // the process has just ended
	default:
	}
	s.mu.Unlock()
	r, err := newRunner(s, u)
	if err != nil {
		return err
	}
	defer r.close()
	_ = r.all("ExecStop", timeout) // the log contains its failure; the signals follow
	sig := unix.SIGTERM
	if n := unix.SignalNum("SIG" + strings.TrimPrefix(u.get("Service.KillSignal"), "SIG")); n != 0 {
		sig = n
	}
	if mode := u.get("Service.KillMode"); mode == "" || mode == "control-group" {
		s.killAll(sig)
	} else if pid != 0 {
		_ = unix.Kill(pid, sig) // it may have ended
	}
	if pid != 0 {
		select {
		case <-ended:
		case <-after(timeout):
			s.print("%s: stop timed out, killing", s.name)
		}
	}
	if u.get("Service.KillMode") != "process" || pid != 0 {
		s.killAll(unix.SIGKILL)
	}
	if pid != 0 {
		<-ended
	}
	_ = r.all("ExecStopPost", timeout) // the log contains its failure
	r.removeRuntime()
	s.set("inactive")
	s.print("Stopped %s.", s.name)
	return nil
}

// killAll signals the processes of the current invocation. Without control groups, it
// finds them by the id in their environment.
func (s *service) killAll(sig syscall.Signal) {
	s.mu.Lock()
	mark := []byte("INVOCATION_ID=" + s.invocation)
	pid := s.pid
	s.mu.Unlock()
	if pid != 0 {
		_ = unix.Kill(pid, sig) // it may have ended
	}
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // fails only for a malformed pattern
	for _, f := range files {
		content, err := os.ReadFile(f)
		other, err2 := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err == nil && err2 == nil && other != pid && bytes.Contains(content, mark) {
			_ = unix.Kill(other, sig) // it may have ended
		}
	}
}

// logFile opens the service's log.
func (s *service) logFile() (*os.File, error) {
	return os.OpenFile(filepath.Join(logDir, s.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
}

// print adds a line to the service's log.
func (s *service) print(format string, args ...any) {
	f, err := s.logFile()
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = fmt.Fprintf(f, format+"\n", args...) // a full log loses lines
}
