// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package linuxtest boots real Linux systems for tests: systemd-nspawn starts
// systemd as PID 1 over an overlay of a root, so that units, sandboxes and
// package managers are the distribution's. The systems do not modify the root.
//
// nspawn does not enforce device lists of units (DevicePolicy=, ProtectClock= on
// systemd 249), so their effect on a GPU cannot be tested here.
package linuxtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// Host is the root of the system that runs the tests.
const Host = "/"

// System is a booted Linux. It is a communicator that runs commands as root.
type System struct {
	packersdk.MockCommunicator

	root   string // path of its root on the host
	leader string // host PID of its PID 1
	stop   func()
}

// bootPatience limits a boot. It is generous, since the clock of a test machine may
// jump.
const bootPatience = 3 * time.Minute

// Need skips the test if this machine cannot boot a system.
func Need(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to boot a system with systemd-nspawn")
	}
	for _, tool := range []string{"systemd-nspawn", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: needs %s: apt-get install systemd-container util-linux", tool)
		}
	}
}

// Debian13 returns the root of a debootstrapped Debian 13, which `make debian-13`
// creates. It skips the test if it does not exist.
func Debian13(t testing.TB) string {
	t.Helper()
	Need(t)
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	root := filepath.Join(dir, "build", "_roots", "debian-13") // go ignores folders with _
	if _, err := os.Stat(filepath.Join(root, "usr/lib/systemd/systemd")); err != nil {
		t.Skip("SKIPPED: needs a Debian 13 in build/_roots/debian-13: make debian-13")
	}
	return root
}

// Boot boots a system on an overlay of root, and stops it when the test ends. Its
// network is a private loopback.
func Boot(t testing.TB, root string) *System {
	t.Helper()
	Need(t)
	dir := t.TempDir()
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	// In a container the file system may be an overlay, which cannot hold another
	// overlay's upper layer: use a tmpfs.
	run("mount", "-t", "tmpfs", "-o", "mode=755", "linuxtest", dir)
	t.Cleanup(func() { run("umount", "--lazy", dir) })
	s := &System{root: filepath.Join(dir, "root")}
	for _, name := range []string{"root", "upper/etc", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Without its own machine ID it would use that of this machine, and its journal.
	if err := os.WriteFile(filepath.Join(dir, "upper/etc/machine-id"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	run("mount", "-t", "overlay", "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work,index=off", root, dir, dir), "linuxtest", s.root)
	t.Cleanup(func() { run("umount", "--lazy", s.root) })

	var console bytes.Buffer
	c := exec.Command("systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--private-network",
		"--console=pipe", "--directory="+s.root, "--boot", "systemd.show_status=false")
	c.Stdout, c.Stderr = &console, &console
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	s.stop = func() {
		_ = c.Process.Signal(syscall.SIGTERM) // orderly shutdown
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = c.Process.Kill()
			<-ended
		}
	}
	t.Cleanup(s.stop)
	deadline := time.Now().Add(bootPatience) // without internal/poll, which would link the AWS SDK
	for {
		select {
		case <-ended:
			t.Fatalf("systemd-nspawn ended while it booted %s:\n%s", root, console.String())
		case <-time.After(100 * time.Millisecond):
		}
		state := "no PID 1"
		if s.leader = leader(c.Process.Pid); s.leader != "" {
			state = s.state()
		}
		if state == "running" || state == "degraded" { // units of the host may fail, as in a container
			return s
		}
		if time.Now().After(deadline) {
			_ = c.Process.Kill() // ends the writes to console
			<-ended
			t.Fatalf("%s did not boot within %s: %s\n%s", root, bootPatience, state, console.String())
		}
	}
}

// leader returns the child of a process that is PID 1 of a namespace, or "". nspawn
// first starts a child that sets up the namespaces, and ends.
func leader(parent int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	for _, pid := range strings.Fields(string(data)) {
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		_, ids, _ := strings.Cut(string(status), "\nNSpid:")
		ids, _, _ = strings.Cut(ids, "\n")
		if namespaces := strings.Fields(ids); len(namespaces) > 1 && namespaces[len(namespaces)-1] == "1" {
			return pid
		}
	}
	return ""
}

// state returns the state of the boot in systemd's words, or the error of the
// question. A system that is starting may not answer.
func (s *System) state() string {
	out, err := s.command("timeout 20 systemctl is-system-running 2>&1").Output()
	return cmp.Or(strings.TrimSpace(string(out)), fmt.Sprint(err))
}

// command runs a shell command in the system.
func (s *System) command(command string) *exec.Cmd {
	c := exec.Command("nsenter", "--target", s.leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", "/bin/sh", "-c", command)
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/var/tmp"}
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c
}

// Run runs a shell command and returns its output; a failure fails the test.
func (s *System) Run(t testing.TB, command string) string {
	t.Helper()
	out, err := s.command(command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// Write writes a file with a mode.
func (s *System) Write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := s.Upload(path, strings.NewReader(text), nil); err != nil {
		t.Fatal(err)
	}
	s.Run(t, "chmod "+strconv.FormatUint(uint64(mode), 8)+" "+path)
}

// Start runs a command for Packer.
func (s *System) Start(_ context.Context, cmd *packersdk.RemoteCmd) error {
	c := s.command(cmd.Command)
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		_ = c.Wait()
		status := c.ProcessState.ExitCode()
		if status < 0 {
			status = packersdk.CmdDisconnect
		}
		cmd.SetExited(status)
	}()
	return nil
}

// Upload writes a file.
func (s *System) Upload(path string, data io.Reader, _ *os.FileInfo) error {
	var diag bytes.Buffer
	c := s.command(`mkdir -p "$(dirname "` + path + `")" && cat >"` + path + `"`)
	c.Stdin, c.Stderr = data, &diag
	if err := c.Run(); err != nil {
		return errors.Join(err, errors.New(diag.String()))
	}
	return nil
}
