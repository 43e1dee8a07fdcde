// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The packages layer has the packages of a machine, and those that run it, as far as
// the host lacks them. It is made once for each state of the host's packages, which
// takes about 20 s and downloads up to 10 MB, and kept as a file (20 MB) in cacheDir.

// cacheDir is a folder of caches for system programs (FHS 3.0, 5.5). Its files can be
// deleted at any time.
const cacheDir = "/var/cache/packer-plugin-ethminer"

// packagesFormat changes whenever the layer of the same packages changes.
const packagesFormat = "2"

// machinePackages are those of a cloud image that a build needs; hostPackages are those
// of the programs that run machines.
const (
	machinePackages = "systemd systemd-sysv dbus udev cloud-init openssh-server sudo iproute2 procps ca-certificates"
	hostPackages    = "systemd-container passt debootstrap util-linux"
)

// installPackages installs its arguments, and enables the services of a machine. Those
// of the host are not part of it (see base.services).
//
//go:embed scripts/install-packages.sh
var installPackages string

// unpackPackages unpacks the packages layer into the host's folder dir, and makes it
// first if necessary.
func (h *host) unpackPackages(dir string) error {
	key, err := packagesKey()
	if err != nil {
		return err
	}
	return h.cached("packages-"+key+".tar.gz", dir, func() error { return h.makePackages(dir) })
}

// cached unpacks an archive of the cache into the host's folder dir. Without one, fill
// fills the folder, and its archive is kept.
func (h *host) cached(name, dir string, fill func() error) error {
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(cacheDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	archive := filepath.Join(cacheDir, name)
	if _, err := os.Stat(archive); err == nil {
		now := time.Now()
		return errors.Join(os.Chtimes(archive, now, now), h.tar(dir, "--extract", "--file="+archive))
	}
	if err := fill(); err != nil {
		return err
	}
	if err := h.tar(dir, "--create", "--gzip", "--file="+archive+".new", "."); err != nil {
		return err
	}
	return errors.Join(os.Rename(archive+".new", archive), removeUnused())
}

// keptUnused is how long an archive is kept without use.
const keptUnused = 30 * 24 * time.Hour

// removeUnused removes old archives, such as those of packages that the host had.
func removeUnused() error {
	names, err := filepath.Glob(filepath.Join(cacheDir, "*.tar.gz*"))
	for _, name := range names {
		if info, e := os.Stat(name); e == nil && time.Since(info.ModTime()) > keptUnused {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}

// packagesKey identifies the packages and accounts of the host.
func packagesKey() (string, error) {
	hash := sha256.New()
	for _, name := range []string{"/var/lib/dpkg/status", "/etc/passwd", "/etc/group", "/etc/os-release"} {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("the host has no %s: rehearsal instances require Debian, Ubuntu or a relative", name)
		}
		if err != nil {
			return "", err
		}
		_, err = io.Copy(hash, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	_, _ = io.WriteString(hash, packagesFormat+installPackages+machinePackages+hostPackages) // never fails
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// makePackages installs the packages into the host's folder dir.
func (h *host) makePackages(dir string) error {
	err := h.install(machinePackages+" "+hostPackages, func(root, work string) error {
		return overlay(root, []string{h.path("base"), "/"}, h.path(dir), work, 0)
	})
	if err != nil {
		return fmt.Errorf("installing packages for rehearsal instances: %w", err)
	}
	return nil
}

// install installs packages in a root that mount mounts, with an empty folder beside it.
func (h *host) install(packages string, mount func(root, work string) error) error {
	folder, err := h.directory("machines")
	if err != nil {
		return err
	}
	root, work := h.path(folder, "root"), h.path(folder, "work")
	if err := errors.Join(os.Mkdir(root, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return err
	}
	err = h.mountThread.do(func() error {
		if err := mount(root, work); err != nil {
			return err
		}
		return errors.Join(runInstall(root, packages), unix.Unmount(root, unix.MNT_DETACH))
	})
	return errors.Join(err, os.RemoveAll(h.path(folder)))
}

// runInstall installs packages in root; it runs on the mount thread.
func runInstall(root, packages string) error {
	if err := unix.Mount("/dev", root+"/dev", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("binding /dev: %w", err)
	}
	for name, kind := range map[string]string{"/proc": "proc", "/tmp": "tmpfs", "/run": "tmpfs"} {
		if err := unix.Mount(kind, root+name, kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", name, err)
		}
	}
	if err := nameService(root); err != nil {
		return err
	}
	var out bytes.Buffer
	c := exec.Command("/bin/sh", append([]string{"-c", installPackages, "sh"}, strings.Fields(packages)...)...)
	c.Dir, c.Stdout, c.Stderr, c.Env = "/", &out, &out, installEnv()
	c.SysProcAttr = &unix.SysProcAttr{Chroot: root, Setsid: true}
	if err := c.Run(); err != nil {
		return fmt.Errorf("%w:\n%s", err, lastLines(out.String(), 8))
	}
	return nil
}

// installEnv returns the environment of an installation: nothing else of the caller's, whose
// TMPDIR, for example, does not exist in the root.
func installEnv() []string { return append([]string{"PATH=" + path, "LANG=C.UTF-8"}, proxies()...) }

// proxies returns the variables of the proxies that apt-get uses on the host.
func proxies() []string {
	var out []string
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// tar runs tar, which keeps the attributes of overlayfs, in a folder of the host.
func (h *host) tar(dir string, args ...string) error {
	var out bytes.Buffer
	c := exec.Command("tar", append([]string{"--xattrs", "--xattrs-include=*", "--numeric-owner"}, args...)...)
	c.Dir, c.Stdout, c.Stderr = h.path(dir), &out, &out
	if err := h.mountThread.do(c.Run); err != nil {
		return fmt.Errorf("tar %s: %w: %s", args[0], err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}
