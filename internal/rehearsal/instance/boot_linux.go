// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// boot is a running machine: systemd-nspawn, and systemd as its first process.
type boot struct {
	nspawn  *exec.Cmd
	ended   chan struct{} // closed once nspawn, and thus every process, has ended
	reboot  atomic.Bool   // it ended for a reboot
	leader  int           // the host's pid of the first process
	network *network
	cgroups []string
}

var errDown = errors.New("the machine is shut down")

// rebootStatus is nspawn's exit status for a machine that reboots
// (EXIT_FORCE_RESTART of systemd).
const rebootStatus = 133

// startNspawn starts nspawn from a shell that first enters the root of the programs (a
// user namespace cannot be created after a chroot) and cgroups of the machine's own. A
// proc file system of their own lets nspawn find its processes.
//
//go:embed scripts/start-nspawn.sh
var startNspawn string

// sshPatience is how long a boot waits for the SSH server. EC2 does not wait for it: an
// instance without one runs.
const sshPatience = 30 * time.Second

// power starts the machine and waits until its SSH server answers, for sshPatience.
func (m *machine) power(ctx context.Context) (*boot, error) {
	b, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, sshPatience)
	defer cancel()
	err = b.network.awaitSSH(waiting, b.ended)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return b, nil
	}
	if err != nil {
		b.kill()
		return nil, fmt.Errorf("%w%s", err, m.lastWords())
	}
	return b, nil
}

// begin starts the machine up to the first process, with its network.
func (m *machine) begin(ctx context.Context) (*boot, error) {
	b := &boot{ended: make(chan struct{})}
	if err := m.startNspawn(b); err != nil {
		return nil, err
	}
	err := b.findLeader(ctx)
	if err == nil {
		b.network, err = m.connectNetwork(ctx, b.leader)
	}
	if err == nil {
		err = m.identify(ctx, b.leader)
	}
	if err != nil {
		b.kill()
		return nil, fmt.Errorf("%w%s", err, m.lastWords())
	}
	return b, nil
}

// lastWords returns the end of the console, for an error.
func (m *machine) lastWords() string {
	text, _ := os.ReadFile(m.hostPath("console")) // none
	if end := lastLines(string(text), 8); end != "" {
		return "; the console ends with:\n" + end
	}
	return ""
}

func (m *machine) startNspawn(b *boot) error {
	if err := m.mount(); err != nil {
		return err
	}
	var err error
	if b.cgroups, err = makeCgroups(m.spec.ID); err != nil {
		return fmt.Errorf("creating cgroups: %w", err)
	}
	args := append([]string{"-c", startNspawn, "sh", filepath.Join(m.host.dir, "programs")}, b.cgroups...)
	args = append(args, "--", "--quiet", "--register=no", "--keep-unit", "--machine="+m.spec.ID,
		"--directory="+filepath.Join(filesInside, m.dir, "root"),
		"--private-network",
		fmt.Sprintf("--private-users=%d:%d", firstID, idCount), "--drop-capability=CAP_MKNOD",
		"--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--kill-signal=SIGRTMIN+3")
	args = append(args, gpuBinds()...)
	args = append(args, awaitIdentity, "systemd.show_status=auto")
	b.nspawn = m.host.program("/bin/sh", args...)
	b.nspawn.SysProcAttr.Chroot = ""
	console, err := os.OpenFile(m.hostPath("console"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return errors.Join(err, removeCgroups(b.cgroups))
	}
	defer func() { _ = console.Close() }()
	b.nspawn.Stdout, b.nspawn.Stderr = console, console
	if err := m.host.start(b.nspawn); err != nil {
		return errors.Join(fmt.Errorf("starting systemd-nspawn: %w", err), removeCgroups(b.cgroups))
	}
	go func() {
		_ = b.nspawn.Wait() // the status says how
		b.reboot.Store(b.nspawn.ProcessState.ExitCode() == rebootStatus)
		close(b.ended)
	}()
	return nil
}

// mount mounts the machine's root.
func (m *machine) mount() error {
	return m.host.mountThread.do(func() error {
		root := m.root()
		_ = unix.Unmount(root, unix.MNT_DETACH) // of the boot before
		var lowers []string
		for _, dir := range m.lower.paths() {
			lowers = append(lowers, m.host.path("shifted", dir))
		}
		lowers = append(lowers, m.host.bottom()...)
		// nodev: a device node of a layer must not open the host's disk.
		return asMachine(func() error {
			return overlay(root, lowers, m.host.path("shifted", m.dir, "upper"), m.host.path("shifted", m.dir, "work"), unix.MS_NODEV)
		})
	})
}

// root returns where the machine's root is mounted, for the mount thread: below the
// programs, which see only mounts of their own root.
func (m *machine) root() string { return m.host.path("programs", filesInside, m.dir, "root") }

// findLeader waits for the first process of the machine: a child of nspawn that is pid 1
// in a namespace below nspawn's, once it has left the network of the host.
func (b *boot) findLeader(ctx context.Context) error {
	supervisor := b.nspawn.Process.Pid
	for {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", supervisor)) // it may have ended
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return err
			}
			if ids := namespacePIDs(pid); len(ids) > len(namespacePIDs(supervisor)) && ids[len(ids)-1] == "1" && !sharesNetwork(pid) {
				b.leader = pid
				return nil
			}
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-b.ended:
			return errors.New("systemd-nspawn ended")
		case <-ctx.Done():
			return fmt.Errorf("waiting for systemd-nspawn: %w", ctx.Err())
		}
	}
}

// namespacePIDs returns the pids of a process in its pid namespaces, outermost first.
func namespacePIDs(pid int) []string {
	for _, f := range fieldsOf(fmt.Sprintf("/proc/%d/status", pid)) {
		if len(f) > 1 && f[0] == "NSpid:" {
			return f[1:]
		}
	}
	return nil
}

// sharesNetwork reports whether a process is in this process's network namespace, or
// has ended.
func sharesNetwork(pid int) bool {
	mine, err := os.Readlink("/proc/self/ns/net")
	its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	return err != nil || err2 != nil || mine == its
}

// down shuts the machine down in order, until ctx is done or a service does not stop.
func (b *boot) down(ctx context.Context) {
	_ = b.nspawn.Process.Signal(syscall.SIGTERM) // nspawn asks the first process to power off; it may have ended
	select {
	case <-b.ended:
	case <-ctx.Done():
	case <-time.After(2 * stopTimeout):
	}
	b.kill()
}

// stopTimeout limits how long a machine waits for a service to stop
// (DefaultTimeoutStopSec in firstDisk).
const stopTimeout = 20 * time.Second

// kill ends every process of the machine and its network. It can be called again.
func (b *boot) kill() {
	_ = b.nspawn.Process.Kill() // it may have ended
	<-b.ended
	if b.network != nil {
		b.network.close()
	}
	_ = removeCgroups(b.cgroups) // empty folders in a virtual file system
}

// makeCgroups creates cgroups for a machine below those of this process: systemd in
// several machines would use the same folders otherwise.
func makeCgroups(id string) ([]string, error) {
	var made []string
	for _, f := range fieldsOf("/proc/self/mountinfo") {
		dash := slices.Index(f, "-")
		if dash < 6 || len(f) < dash+4 {
			continue
		}
		controllers := f[dash+3]
		v2, named := f[dash+1] == "cgroup2", f[dash+1] == "cgroup" && strings.Contains(controllers, "name=systemd")
		if !v2 && !named {
			continue
		}
		dir := filepath.Join(f[4], ownCgroup(v2), "rehearsal-"+id)
		if slices.Contains(made, dir) {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, errors.Join(err, removeCgroups(made))
		}
		made = append(made, dir)
	}
	return made, nil
}

// ownCgroup returns the cgroup of this process in the unified or the named hierarchy.
func ownCgroup(v2 bool) string {
	content, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(content)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && (v2 && f[0] == "0" || !v2 && f[1] == "name=systemd") {
			return f[2]
		}
	}
	return "/"
}

// removeCgroups removes cgroups and those below them.
func removeCgroups(dirs []string) error {
	var err error
	for _, dir := range dirs {
		var below []string
		_ = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, name)
			}
			return nil
		})
		for _, name := range slices.Backward(below) { // deepest first
			if e := unix.Rmdir(name); e != nil && !errors.Is(e, unix.ENOENT) {
				err = errors.Join(err, fmt.Errorf("removing %s: %w", name, e))
			}
		}
	}
	return err
}

// gpuBinds returns the options that give a machine the host's GPUs, and the parts of
// the driver on mounts of their own, as container runtimes mount them.
func gpuBinds() []string {
	var options []string
	for _, pattern := range []string{"/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/dri/*", "/dev/kfd"} {
		found, _ := filepath.Glob(pattern) // fails only for a malformed pattern
		for _, node := range found {
			if info, err := os.Stat(node); err == nil && info.Mode()&os.ModeCharDevice != 0 {
				options = append(options, "--bind="+node)
			}
		}
	}
	for _, mount := range driverMounts() {
		options = append(options, "--bind-ro="+mount)
	}
	return options
}

// driverMounts returns the mounts that are parts of the GPUs' driver.
func driverMounts() []string {
	var mounts []string
	for _, f := range fieldsOf("/proc/self/mountinfo") {
		name := filepath.Base(f[4])
		if strings.HasPrefix(f[4], "/usr/") && slices.ContainsFunc([]string{"nvidia", "libcuda", "libnv"}, func(s string) bool { return strings.Contains(name, s) }) {
			mounts = append(mounts, f[4])
		}
	}
	return mounts
}

// fieldsOf returns the fields of a file's lines; a missing file has none.
func fieldsOf(name string) [][]string {
	content, _ := os.ReadFile(name)
	var lines [][]string
	for line := range strings.Lines(string(content)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}
