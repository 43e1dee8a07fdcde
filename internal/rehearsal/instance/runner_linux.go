// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// serviceDirs are the settings that create directories for a service.
var serviceDirs = []struct{ setting, under, variable string }{
	{"RuntimeDirectory", "/run", "RUNTIME_DIRECTORY"},
	{"StateDirectory", "/var/lib", "STATE_DIRECTORY"},
	{"CacheDirectory", "/var/cache", "CACHE_DIRECTORY"},
	{"LogsDirectory", "/var/log", "LOGS_DIRECTORY"},
	{"ConfigurationDirectory", "/etc", "CONFIGURATION_DIRECTORY"},
}

// runner runs the commands of one start or stop of a service.
type runner struct {
	s    *service
	u    *unitFile
	env  map[string]string
	cred *syscall.Credential
	dir  string
	in   *os.File
	out  [2]*os.File
}

// newRunner prepares the environment of a service's commands.
func newRunner(s *service, u *unitFile) (*runner, error) {
	r := &runner{s: s, u: u, dir: "/"}
	var err error
	if r.env, err = u.environment(); err != nil {
		return nil, err
	}
	r.env["INVOCATION_ID"] = s.invocation
	if err := r.user(); err != nil {
		return nil, err
	}
	if err := r.directories(); err != nil {
		return nil, err
	}
	if v := u.get("Service.WorkingDirectory"); v != "" {
		v, optional := strings.CutPrefix(v, "-")
		if v, err = u.expand(v); err != nil {
			return nil, err
		}
		if v == "~" {
			v = r.env["HOME"]
		}
		if _, err := os.Stat(v); err == nil || !optional {
			r.dir = v
		}
	}
	if err := r.files(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// user determines the user of the commands.
func (r *runner) user() error {
	name := r.u.get("Service.User")
	if name == "" {
		name = "root"
	}
	name, err := r.u.expand(name)
	if err != nil {
		return err
	}
	a, err := findAccount(name)
	if err != nil {
		return fmt.Errorf("setting User=%s: %w", name, err)
	}
	r.cred = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: a.groups()}
	if g := r.u.get("Service.Group"); g != "" {
		id, err := groupID(g)
		if err != nil {
			return err
		}
		r.cred.Gid = uint32(id)
	}
	for _, g := range r.u.words("Service.SupplementaryGroups") {
		id, err := groupID(g)
		if err != nil {
			return err
		}
		r.cred.Groups = append(r.cred.Groups, uint32(id))
	}
	for k, v := range map[string]string{"HOME": a.home, "USER": a.name, "LOGNAME": a.name, "SHELL": a.shell} {
		if _, set := r.env[k]; !set && r.u.get("Service.User") != "" {
			r.env[k] = v
		}
	}
	return nil
}

// directories creates the service's directories.
func (r *runner) directories() error {
	for _, d := range serviceDirs {
		var made []string
		for _, name := range r.u.words("Service." + d.setting) {
			name, err := r.u.expand(name)
			if err != nil {
				return err
			}
			mode := uint64(0o755)
			if v := r.u.get("Service." + d.setting + "Mode"); v != "" {
				if mode, err = strconv.ParseUint(v, 8, 32); err != nil {
					return fmt.Errorf("%sMode=%s is not a valid mode", d.setting, v)
				}
			}
			p := filepath.Join(d.under, name)
			if err := os.MkdirAll(p, 0o755); err != nil {
				return err
			}
			if err := errors.Join(os.Chmod(p, fs.FileMode(mode)), os.Chown(p, int(r.cred.Uid), int(r.cred.Gid))); err != nil {
				return err
			}
			made = append(made, p)
		}
		if len(made) > 0 {
			r.env[d.variable] = strings.Join(made, ":")
		}
	}
	return nil
}

// removeRuntime removes RuntimeDirectory after the service has ended.
func (r *runner) removeRuntime() {
	if r.u.get("Service.RuntimeDirectoryPreserve") != "" {
		return
	}
	for _, p := range filepath.SplitList(r.env["RUNTIME_DIRECTORY"]) {
		_ = os.RemoveAll(p) // /run does not survive a reboot
	}
}

// files opens the standard input, output and error.
func (r *runner) files() error {
	var err error
	if r.in, err = os.Open(os.DevNull); err != nil {
		return err
	}
	for i, setting := range []string{"StandardOutput", "StandardError"} {
		where := r.u.get("Service." + setting)
		if i == 1 && (where == "" || where == "inherit") {
			where = r.u.get("Service.StandardOutput")
		}
		kind, file, _ := strings.Cut(where, ":")
		if file, err = r.u.expand(file); err != nil {
			return err
		}
		switch kind {
		case "null":
			r.out[i], err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		case "append", "file":
			r.out[i], err = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		case "truncate":
			r.out[i], err = os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		case "", "inherit", "journal", "syslog", "kmsg", "journal+console", "syslog+console":
			r.out[i], err = r.s.logFile()
		default:
			err = fmt.Errorf("%s=%s is not supported", setting, where)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) close() {
	for _, f := range []*os.File{r.in, r.out[0], r.out[1]} {
		if f != nil {
			_ = f.Close() // the service has its own descriptors
		}
	}
}

// parse parses a command and expands specifiers and variables.
func (r *runner) parse(value string) (execLine, error) {
	value, err := r.u.expand(value)
	if err != nil {
		return execLine{}, err
	}
	e, err := parseExec(value)
	if err == nil && !e.noExpand {
		e.argv = substitute(e.argv, r.env)
	}
	return e, err
}

// spawn starts a command.
func (r *runner) spawn(e execLine) (int, <-chan unix.WaitStatus, error) {
	file, argv := e.argv[0], e.argv
	if e.givenArg0 {
		argv = argv[1:]
	}
	if !filepath.IsAbs(file) {
		found := ""
		for _, dir := range filepath.SplitList(path) {
			if p, err := exec.LookPath(filepath.Join(dir, file)); err == nil {
				found = p
				break
			}
		}
		if found == "" {
			return 0, nil, fmt.Errorf("program %s not found in %s", file, path)
		}
		file = found
	}
	attr := &syscall.ProcAttr{
		Dir:   r.dir,
		Files: []uintptr{r.in.Fd(), r.out[0].Fd(), r.out[1].Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: r.cred},
	}
	if e.asRoot {
		attr.Sys.Credential = nil
	}
	for k, v := range r.env {
		attr.Env = append(attr.Env, k+"="+v)
	}
	if _, pid := r.s.current(); pid != 0 {
		attr.Env = append(attr.Env, "MAINPID="+strconv.Itoa(pid))
	}
	umask := 0o022
	if v := r.u.get("Service.UMask"); v != "" {
		n, err := strconv.ParseUint(v, 8, 32)
		if err != nil {
			return 0, nil, fmt.Errorf("UMask=%s is not a valid mode", v)
		}
		umask = int(n)
	}
	pid, status, err := r.s.family.startMasked(umask, file, argv, attr)
	if err != nil {
		return 0, nil, fmt.Errorf("starting %s: %w", file, err)
	}
	return pid, status, nil
}

// all runs the commands of a setting in sequence.
func (r *runner) all(setting string, timeout time.Duration) error {
	for _, value := range r.u.values["Service."+setting] {
		e, err := r.parse(value)
		if err != nil {
			return err
		}
		if err := r.one(e, timeout); err != nil {
			r.s.print("%s=%s: %v", setting, value, err)
			if !e.mayFail {
				return fmt.Errorf("%s=%s: %w", setting, value, err)
			}
		}
	}
	return nil
}

func (r *runner) one(e execLine, timeout time.Duration) error {
	pid, status, err := r.spawn(e)
	if err != nil {
		return err
	}
	select {
	case st := <-status:
		if !succeeded(r.u, st) {
			return fmt.Errorf("ended with %s", describe(st))
		}
		return nil
	case <-after(timeout):
		r.s.family.signal(pid, unix.SIGKILL)
		return fmt.Errorf("took longer than %s", timeout)
	}
}

// notifySocket creates the socket on which the service reports that it is ready.
func (r *runner) notifySocket() (<-chan struct{}, error) {
	name := "/run/rehearsal/notify-" + r.s.invocation
	c, err := net.ListenPacket("unixgram", name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o666); err != nil { // the service may run as another user
		return nil, errors.Join(err, c.Close())
	}
	r.env["NOTIFY_SOCKET"] = name
	ready := make(chan struct{})
	ended := r.s.ended
	go func() {
		<-ended
		_ = c.Close()
	}()
	go func() {
		buf := make([]byte, 4096)
		told := false
		for {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if !told && bytes.Contains(buf[:n], []byte("READY=1")) {
				told = true
				close(ready)
			}
		}
	}()
	return ready, nil
}
