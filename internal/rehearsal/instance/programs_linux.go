// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The programs that run machines (systemd-nspawn, pasta, ip, nsenter) come from the
// packages layer, so that the host needs none of them. They run in a root of their own:
// the packages layer on the host's root, without the base layer.

// filesInside is where the programs find the host's files.
const filesInside = "/usr/libexec/rehearsal/files"

// mountPrograms mounts the root of the programs; it runs on the mount thread.
func (h *host) mountPrograms() error {
	root := h.path("programs")
	if err := overlay(root, []string{h.path("packages"), "/"}, "", "", unix.MS_NODEV|unix.MS_RDONLY); err != nil {
		return err
	}
	for _, dir := range append([]string{"/proc", "/sys", "/dev"}, driverMounts()...) { // an overlay of / has no mounts
		if err := unix.Mount(dir, root+dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("binding %s: %w", dir, err)
		}
	}
	for _, dir := range []string{"/run", "/tmp"} {
		if err := unix.Mount("rehearsal", root+dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=16m"); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	if err := resolver(root); err != nil {
		return err
	}
	if err := unix.Mount(h.dir, root+filesInside, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding the files of the machines: %w", err)
	}
	return nil
}

// program returns a command of a program. It ends with the mount thread, and with it
// every process that it has started, since it is the first of a pid namespace.
func (h *host) program(name string, args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path: name,
		Args: append([]string{name}, args...),
		Dir:  "/",
		Env:  []string{"PATH=" + path, "LANG=C.UTF-8"}, // nothing of the server's
		SysProcAttr: &syscall.SysProcAttr{
			Chroot:     filepath.Join(h.dir, "programs"), // h.path is in the mount thread's namespace
			Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS,
			Pdeathsig:  unix.SIGKILL,
			Setsid:     true, // Ctrl-C must not reach the machine
		},
	}
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// start starts a program on the mount thread, whose mounts it sees.
func (h *host) start(c *exec.Cmd) error { return h.mountThread.do(c.Start) }

// run runs a program with an input until it ends.
func (h *host) run(ctx context.Context, input, name string, args ...string) error {
	c := h.program(name, args...)
	c.SysProcAttr.Cloneflags = 0 // its arguments are pids of the host
	var out bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &out
	if err := h.start(c); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	if err := c.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// resolver copies the host's resolver configuration where it is a link into /run, which
// the programs do not see.
func resolver(root string) error {
	target, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil || !strings.HasPrefix(target, "/run/") {
		return nil //nolint:nilerr // the overlay contains it, or the host has none
	}
	content, err := os.ReadFile(target)
	if err != nil {
		return nil //nolint:nilerr // a host without the file cannot resolve names either
	}
	return errors.Join(os.MkdirAll(filepath.Dir(root+target), 0o755), os.WriteFile(root+target, content, 0o644))
}
