// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The base layer lies between the host's root and the layers of every machine. It hides
// the host's own data (home directories, secrets, enabled services, files at the root
// that do not belong to a Linux system) and adds a machine's replacements. Each host
// creates it once.

// systemDirs are the directories of / that a machine shares with the host.
var systemDirs = []string{"bin", "boot", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "snap", "usr", "var"}

// emptyDirs are the directories of / that every machine has, without the host's
// content.
var emptyDirs = map[string]fs.FileMode{
	"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o777 | fs.ModeSticky,
	"home": 0o755, "root": 0o700, "media": 0o755, "mnt": 0o755, "srv": 0o755,
}

// emptySystemDirs are deeper directories that are empty in a machine, if the host has
// them.
var emptySystemDirs = []string{"/var/tmp", "/var/mail", "/var/spool/mail", "/var/backups", "/var/lib/cloud", "/var/crash"}

// base is a base layer under construction.
type base struct {
	dir string // folder of the layer
}

// makeBase fills dir, which must be empty.
func makeBase(dir string) error {
	b := base{dir}
	for _, step := range []func() error{
		b.root, b.system, b.privateDirs, b.services, b.accounts, b.identity, b.baseFiles,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("creating the base layer of the machines: %w", err)
		}
	}
	return nil
}

// root keeps only the directories of / that belong to a Linux system.
func (b base) root() error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, emptied := emptyDirs[e.Name()]
		if e.Type() == fs.ModeSymlink || emptied || slices.Contains(systemDirs, e.Name()) {
			continue
		}
		if err := b.remove("/" + e.Name()); err != nil {
			return err
		}
	}
	for name, mode := range emptyDirs {
		dir := filepath.Join(b.dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, mode); err != nil {
			return err
		}
		if err := opaque(dir); err != nil {
			return err
		}
	}
	return nil
}

// system hides the files of the system that only root can read: keys, passwords,
// spools.
func (b base) system() error {
	for dir, depth := range map[string]int{"/etc": 32, "/var": 32, "/boot": 4, "/opt": 4, "/usr/local": 3} {
		if err := b.hidePrivateFiles(dir, depth); err != nil {
			return err
		}
	}
	for _, dir := range emptySystemDirs {
		if err := b.empty(dir); err != nil {
			return err
		}
	}
	public, _ := filepath.Glob("/etc/ssh/ssh_host_*_key.pub") // fails only for a malformed pattern
	for _, name := range public {
		if err := b.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// rewritten are files that only root can read but that a machine requires.
var rewritten = []string{"/etc/shadow", "/etc/gshadow", "/etc/sudoers"}

// hidePrivateFiles hides files that not every user can read, to a depth of directories.
func (b base) hidePrivateFiles(dir string, depth int) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // files of a running host can disappear
		}
		if err != nil {
			return err
		}
		switch mode := info.Mode(); {
		case mode.IsDir() && mode&0o005 != 0o005:
			err = b.empty(name)
		case mode.IsDir() && depth > 1:
			err = b.hidePrivateFiles(name, depth-1)
		case mode.IsRegular() && mode&0o004 == 0 && !slices.Contains(rewritten, name):
			err = b.remove(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// privateDirs hides the home and the checkout of the user who runs the rehearsal.
func (b base) privateDirs() error {
	var hidden []string
	for _, variable := range []string{"HOME", "TMPDIR", "GOPATH", "GOCACHE", "GOMODCACHE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "PACKER_CONFIG_DIR", "PACKER_CACHE_DIR", "PACKER_PLUGIN_PATH"} {
		hidden = append(hidden, filepath.SplitList(os.Getenv(variable))...)
	}
	for _, a := range readAccounts() {
		if a.person() {
			hidden = append(hidden, a.home)
		}
	}
	if wd, err := os.Getwd(); err == nil {
		hidden = append(hidden, checkout(wd))
	}
	for _, dir := range hidden {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil || !filepath.IsAbs(dir) {
			continue // missing
		}
		// A home of / or /usr is not private.
		if parts := strings.Split(dir[1:], "/"); len(parts) < 2 || !slices.Contains(systemDirs, parts[0]) {
			continue
		}
		if err := b.empty(dir); err != nil {
			return err
		}
	}
	return nil
}

// checkout returns the git checkout that contains dir, or dir.
func checkout(dir string) string {
	for parent := dir; parent != "/"; parent = filepath.Dir(parent) {
		if _, err := os.Lstat(filepath.Join(parent, ".git")); err == nil {
			return parent
		}
	}
	return dir
}

// services disables the host's enabled services, and prevents packages from starting
// theirs during an installation.
func (b base) services() error {
	if _, err := os.Lstat("/usr/sbin/policy-rc.d"); err == nil {
		if err := b.remove("/usr/sbin/policy-rc.d"); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"/etc/systemd/system/*.wants", "/etc/systemd/system/*.requires", "/etc/rc[S0-6].d"} {
		dirs, _ := filepath.Glob(pattern) // fails only for a malformed pattern
		for _, dir := range dirs {
			if err := b.empty(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// identity removes the host's name and id. Machines get their own on their first boot.
func (b base) identity() error {
	for _, name := range []string{"/etc/machine-id", "/etc/hostname"} {
		if err := b.write(name, nil, 0o644); err != nil {
			return err
		}
	}
	if _, err := os.Lstat("/var/lib/dbus/machine-id"); err == nil {
		return b.remove("/var/lib/dbus/machine-id")
	}
	return nil
}

// parents creates the directory of name with the owner and mode of the host's.
func (b base) parents(name string) error {
	dir := filepath.Dir(name)
	if dir == "/" {
		return nil
	}
	here := b.dir + dir
	if _, err := os.Lstat(here); err == nil {
		return nil
	}
	if err := b.parents(dir); err != nil {
		return err
	}
	if err := os.Mkdir(here, 0o755); err != nil {
		return err
	}
	return copyOwnerAndMode(dir, here)
}

// copyOwnerAndMode copies the owner and the mode of the host's directory.
func copyOwnerAndMode(name, here string) error {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.Lchown(here, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return unix.Chmod(here, st.Mode&0o7777)
}

// remove hides name.
func (b base) remove(name string) error {
	if err := b.parents(name); err != nil {
		return err
	}
	if err := unix.Mknod(b.dir+name, unix.S_IFCHR, 0); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("hiding %s: %w", name, err)
	}
	return nil
}

// empty makes the directory name empty, if the host has it.
func (b base) empty(name string) error {
	if info, err := os.Lstat(name); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // missing on the host
	}
	here := b.dir + name
	if info, err := os.Lstat(here); err == nil {
		if !info.IsDir() {
			return nil // already hidden
		}
		return opaque(here)
	}
	if err := b.parents(name + "/x"); err != nil {
		return err
	}
	return opaque(here)
}

// write adds the file name to every machine.
func (b base) write(name string, content []byte, mode fs.FileMode) error {
	if err := b.parents(name); err != nil {
		return err
	}
	if err := os.RemoveAll(b.dir + name); err != nil {
		return err
	}
	if err := os.WriteFile(b.dir+name, content, mode); err != nil {
		return err
	}
	return os.Chmod(b.dir+name, mode)
}

// link adds the symbolic link name to every machine.
func (b base) link(target, name string) error {
	if err := b.parents(name); err != nil {
		return err
	}
	return os.Symlink(target, b.dir+name)
}

// opaque hides the content of the directory in the layers below.
func opaque(dir string) error {
	err := unix.Setxattr(dir, "trusted.overlay.opaque", []byte("y"), 0)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setting trusted attributes requires CAP_SYS_ADMIN outside of a user namespace: %w", err)
	}
	if err != nil {
		return fmt.Errorf("emptying %s: %w", dir, err)
	}
	return nil
}
