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

// The base layer lies between the host's root and every machine. It hides what
// is the host's own (home directories, secrets, enabled services, everything
// at the root that is not part of a Linux system) and adds what a machine has
// instead. It is made once a host.

// systemDirs are the directories of / that a machine shares with the host.
var systemDirs = []string{"bin", "boot", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "snap", "usr", "var"}

// emptyDirs are the directories of / that every machine has, with nothing of
// the host's in them.
var emptyDirs = map[string]fs.FileMode{
	"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o777 | fs.ModeSticky,
	"home": 0o755, "root": 0o700, "media": 0o755, "mnt": 0o755, "srv": 0o755,
}

// emptySystemDirs lie deeper, and are emptied where they exist.
var emptySystemDirs = []string{"/var/tmp", "/var/mail", "/var/spool/mail", "/var/backups", "/var/lib/cloud", "/var/crash"}

// base is a layer in the making.
type base struct {
	dir string // where it is made
}

// makeBase fills dir, which must be empty.
func makeBase(dir string) error {
	b := base{dir}
	for _, step := range []func() error{
		b.root, b.system, b.places, b.services, b.accounts, b.identity, b.tools,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("preparing the base of every machine: %w", err)
		}
	}
	return nil
}

// root keeps of / what is part of a system.
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

// system hides what of the system only root may read: keys, passwords, spools.
func (b base) system() error {
	for dir, depth := range map[string]int{"/etc": 32, "/var": 32, "/opt": 4, "/usr/local": 3} {
		if err := b.secrets(dir, depth); err != nil {
			return err
		}
	}
	for _, dir := range emptySystemDirs {
		if err := b.empty(dir); err != nil {
			return err
		}
	}
	public, _ := filepath.Glob("/etc/ssh/ssh_host_*_key.pub") // the only error is a bad pattern
	for _, name := range public {
		if err := b.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// rewritten are files that only root may read and a machine must have.
var rewritten = []string{"/etc/shadow", "/etc/gshadow", "/etc/sudoers"}

// secrets hides what not everybody may read, to a depth of directories.
func (b base) secrets(dir string, depth int) error {
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
			continue // files come and go on a living host
		}
		if err != nil {
			return err
		}
		switch mode := info.Mode(); {
		case mode.IsDir() && mode&0o005 != 0o005:
			err = b.empty(name)
		case mode.IsDir() && depth > 1:
			err = b.secrets(name, depth-1)
		case mode.IsRegular() && mode&0o004 == 0 && !slices.Contains(rewritten, name):
			err = b.remove(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// places hides what belongs to whoever runs the rehearsal, wherever it is.
func (b base) places() error {
	var hidden []string
	for _, variable := range []string{"HOME", "TMPDIR", "GOPATH", "GOCACHE", "GOMODCACHE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "PACKER_CONFIG_DIR", "PACKER_CACHE_DIR", "PACKER_PLUGIN_PATH"} {
		hidden = append(hidden, filepath.SplitList(os.Getenv(variable))...)
	}
	for _, a := range readAccounts("/etc/passwd") {
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
			continue // not there
		}
		// A home of / or /usr is no place of one's own.
		if parts := strings.Split(dir[1:], "/"); len(parts) < 2 || !slices.Contains(systemDirs, parts[0]) {
			continue
		}
		if err := b.empty(dir); err != nil {
			return err
		}
	}
	return nil
}

// checkout is the git checkout that dir is in, or dir.
func checkout(dir string) string {
	for up := dir; up != "/"; up = filepath.Dir(up) {
		if _, err := os.Lstat(filepath.Join(up, ".git")); err == nil {
			return up
		}
	}
	return dir
}

// services forgets which services the host has enabled, and that a container's
// packages must not start theirs.
func (b base) services() error {
	if _, err := os.Lstat("/usr/sbin/policy-rc.d"); err == nil {
		if err := b.remove("/usr/sbin/policy-rc.d"); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"/etc/systemd/system/*.wants", "/etc/systemd/system/*.requires"} {
		dirs, _ := filepath.Glob(pattern) // the only error is a bad pattern
		for _, dir := range dirs {
			if err := b.empty(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// identity takes the host's name and id from the machines, which get their own
// at their first boot.
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

// tools puts this executable in the place of programs that would not work in a
// machine, and of those that the host lacks.
func (b base) tools() error {
	if err := b.write(toolPath, nil, 0o755); err != nil {
		return err
	}
	for name := range tools {
		if err := b.link(toolPath, toolDir+"/"+name); err != nil {
			return err
		}
	}
	for name, path := range replaced {
		if err := b.link(toolDir+"/"+name, path); err != nil {
			return err
		}
	}
	for name, path := range missing {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := b.link(toolDir+"/"+name, path); err != nil {
				return err
			}
		}
	}
	return b.divert()
}

// divert tells dpkg that the replaced programs are not its own, so that an
// upgrade does not bring the real ones back.
func (b base) divert() error {
	const name = "/var/lib/dpkg/diversions"
	have, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, path := range replaced {
		// Packages of before the merged /usr say /bin and /sbin.
		for _, p := range []string{path, strings.TrimPrefix(path, "/usr")} {
			have = fmt.Appendf(have, "%s\n%s.distrib\n:\n", p, p)
		}
	}
	return b.write(name, have, 0o644)
}

// parents makes the directory of name as it is on the host.
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
	return likeHost(dir, here)
}

// likeHost gives the directory here the owner and the mode of the host's.
func likeHost(name, here string) error {
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

// empty shows the directory name, if the host has it, with nothing in it.
func (b base) empty(name string) error {
	if info, err := os.Lstat(name); err != nil || !info.IsDir() {
		return nil
	}
	here := b.dir + name
	if info, err := os.Lstat(here); err == nil {
		if !info.IsDir() {
			return nil // hidden altogether
		}
		return opaque(here)
	}
	if err := b.parents(name + "/x"); err != nil {
		return err
	}
	return opaque(here)
}

// write gives every machine the file name.
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

// link gives every machine the symbolic link name.
func (b base) link(target, name string) error {
	if err := b.parents(name); err != nil {
		return err
	}
	return os.Symlink(target, b.dir+name)
}

// opaque hides what the layers below have in the directory.
func opaque(dir string) error {
	err := unix.Setxattr(dir, "trusted.overlay.opaque", []byte("y"), 0)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setting trusted attributes needs CAP_SYS_ADMIN, and not in a user namespace: %w", err)
	}
	if err != nil {
		return fmt.Errorf("emptying %s: %w", dir, err)
	}
	return nil
}
