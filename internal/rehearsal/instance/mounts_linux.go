// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts contains the directories of a machine's root. They are relative to the host's
// files, so that their length and colons in them do not matter.
type mounts struct {
	Root   string   `json:"root"`
	Upper  string   `json:"upper"`
	Work   string   `json:"work"`
	Lowers []string `json:"lowers"` // topmost first, without the host's /
	Tool   string   `json:"tool"`
}

// toolDir is the folder of the programs that this executable replaces in a machine.
const toolDir = "/usr/libexec/rehearsal"

// toolPath is this executable inside a machine.
const toolPath = toolDir + "/tool"

// enter mounts the machine's file system and moves this process into it. The process
// must have its own mount, pid and IPC namespaces.
func (m mounts) enter() error {
	// Private: unmounts in a machine must not propagate to the thread's namespace.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("detaching the mount namespace: %w", err)
	}
	if err := m.overlay(); err != nil {
		return err
	}
	for _, step := range []func(root string) error{m.tool, proc, sys, dev, scratch, nameService} {
		if err := step(m.Root); err != nil {
			return err
		}
	}
	if err := unix.Chdir(m.Root); err != nil {
		return fmt.Errorf("entering the machine's root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the host's root: %w", err)
	}
	return unix.Chdir("/")
}

// overlay mounts the layers on the host's root.
func (m mounts) overlay() error {
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,index=off",
		strings.Join(append(m.Lowers[:len(m.Lowers):len(m.Lowers)], "/"), ":"), m.Upper, m.Work)
	// nodev: a device node created in a machine must not open the host's disk.
	err := unix.Mount("rehearsal", m.Root, "overlay", unix.MS_NODEV, data+",redirect_dir=on")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("rehearsal", m.Root, "overlay", unix.MS_NODEV, data)
	}
	if err != nil {
		return fmt.Errorf("mounting an overlayfs over /: %w", err)
	}
	return nil
}

// tool mounts this executable into the machine, read-only.
func (m mounts) tool(root string) error {
	return bind(m.Tool, root+toolPath, unix.MS_RDONLY|unix.MS_NODEV)
}

// proc mounts the pid namespace's own /proc, without the kernel's settings.
func proc(root string) error {
	p := root + "/proc"
	if err := unix.Mount("proc", p, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, name := range []string{"sys", "irq", "bus", "fs", "sysrq-trigger"} {
		if err := bind(p+"/"+name, p+"/"+name, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, name := range []string{"kcore", "keys", "timer_list", "sched_debug"} {
		if err := bindDevice("/dev/null", p+"/"+name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sys mounts the hardware information, read-only.
func sys(root string) error {
	flags := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("sysfs", root+"/sys", "sysfs", flags, ""); err == nil {
		return nil
	}
	return bind("/sys", root+"/sys", flags)
}

// showIdentity replaces the instance id where a host that is an EC2 instance shows its
// own; other hosts lack these files. It runs in the machine.
func showIdentity(id string) error {
	const tag, uuid = "/sys/class/dmi/id/board_asset_tag", "/sys/hypervisor/uuid"
	mine := "/run/rehearsal/board_asset_tag"
	if err := os.WriteFile(mine, []byte(id+"\n"), 0o444); err != nil {
		return err
	}
	for _, b := range [][2]string{{mine, tag}, {os.DevNull, uuid}} {
		if err := bindDevice(b[0], b[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// dev mounts a /dev with harmless nodes and the host's GPUs.
func dev(root string) error {
	d := root + "/dev"
	if err := unix.Mount("rehearsal", d, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
		return fmt.Errorf("mounting /dev: %w", err)
	}
	nodes := []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}
	for _, pattern := range []string{"/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/dri/*", "/dev/kfd"} {
		found, _ := filepath.Glob(pattern) // fails only for a malformed pattern
		nodes = append(nodes, found...)
	}
	for _, node := range nodes {
		info, err := os.Stat(node)
		if err != nil || info.Mode()&os.ModeCharDevice == 0 {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(root+node), 0o755); err != nil {
			return err
		}
		if err := touch(root + node); err != nil {
			return err
		}
		if err := bindDevice(node, root+node); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		name, kind, data string
		flags            uintptr
	}{
		{"/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", unix.MS_NOSUID | unix.MS_NOEXEC},
		{"/shm", "tmpfs", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
		{"/mqueue", "mqueue", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	} {
		if err := os.Mkdir(d+m.name, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, d+m.name, m.kind, m.flags, m.data); err != nil && m.kind != "mqueue" {
			return fmt.Errorf("mounting /dev%s: %w", m.name, err)
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, d+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// scratch mounts the directories that do not survive a reboot.
func scratch(root string) error {
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
	if err := unix.Mount("rehearsal", root+"/tmp", "tmpfs", flags, "mode=1777"); err != nil {
		return fmt.Errorf("mounting /tmp: %w", err)
	}
	if err := unix.Mount("rehearsal", root+"/run", "tmpfs", flags, "mode=755"); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	// Maintainer scripts check /run/systemd/system before they call systemctl.
	for _, dir := range []string{"/run/rehearsal", "/run/systemd/system", "/run/lock", "/run/user"} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return err
		}
	}
	return os.Chmod(root+"/run/lock", 0o777|os.ModeSticky)
}

// nameService copies the host's resolver configuration. The file can be a separate
// mount (containers) or a link into /run (systemd-resolved), which the overlay does not
// contain.
func nameService(root string) error {
	const name = "/etc/resolv.conf"
	content, err := os.ReadFile(name)
	if err != nil {
		return nil //nolint:nilerr // a host without the file cannot resolve names either
	}
	file := name
	if target, err := os.Readlink(root + name); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join("/etc", target)
		}
		if !strings.HasPrefix(target, "/run/") {
			return nil
		}
		file = target
		if err := os.MkdirAll(filepath.Dir(root+file), 0o755); err != nil {
			return err
		}
	} else if have, err := os.ReadFile(root + name); err == nil && string(have) == string(content) {
		return nil
	}
	return os.WriteFile(root+file, content, 0o644)
}

// bind mounts from at to as well, with the given flags.
func bind(from, to string, flags uintptr) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding %s: %w", from, err)
	}
	if flags == 0 {
		return nil
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("protecting %s: %w", to, err)
	}
	return nil
}

// bindDevice mounts a device of the host. The mount is read-only, which the content of a
// device ignores: a chmod in the machine would change the host's file.
func bindDevice(from, to string) error {
	return bind(from, to, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC)
}

// touch creates an empty file.
func touch(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDONLY, 0o666)
	if err != nil {
		return err
	}
	return f.Close()
}
