// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// host implements Host. Its files are on a tmpfs that only its mount thread sees. The
// root of a container is an overlay, which cannot contain an overlay's upper layer.
type host struct {
	mountThread *mountThread
	base        string // HostBase, or a name in distributions
	dir         string // mount point of the tmpfs on the mount thread
	files       *os.File
	port        int
	portLock    net.Listener // reserves the port against other hosts

	mu       sync.Mutex
	closed   bool
	next     int // name of the next directory
	layers   map[string]*layer
	machines map[*machine]bool
}

// Check returns an error that names the missing requirement of a rehearsal instance,
// or nil. It tests the requirements by starting one.
func Check() error { return check(HostBase) }

func check(base string) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	dir, err := os.MkdirTemp("", "rehearsal-check-")
	if err != nil {
		return fmt.Errorf("creating a temporary directory for a rehearsal instance: %w", err)
	}
	h, err := newHost(dir, base)
	if err == nil {
		err = errors.Join(h.check(), h.Close())
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("this host does not support rehearsal instances: %w", err)
	}
	return nil
}

// NewHost returns a host whose machines' files are mounted below dir, which it creates.
// Only the machines see the mount. Machines have the named base, see CheckBase. It
// returns the error of Check if the host does not support machines.
func NewHost(dir, base string) (Host, error) {
	if os.Geteuid() != 0 {
		return nil, Check()
	}
	h, err := newHost(dir, base)
	if err != nil {
		return nil, fmt.Errorf("creating a host for rehearsal instances: %w", err)
	}
	return h, nil
}

func newHost(dir, base string) (*host, error) {
	if err := CheckBase(base); err != nil {
		return nil, fmt.Errorf("base of the machines: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d, err := newMountThread()
	if err != nil {
		return nil, err
	}
	h := &host{mountThread: d, base: cmp.Or(base, HostBase), dir: filepath.Join(dir, "machines"), layers: map[string]*layer{}, machines: map[*machine]bool{}}
	if err := h.prepare(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// prepare mounts and fills the host's files, and chooses a port.
func (h *host) prepare() error {
	if err := checkMounts("/proc/self/mountinfo"); err != nil {
		return err
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	if err := h.mountThread.do(h.mount); err != nil {
		return err
	}
	for _, name := range []string{"base", "packages", "distribution", "programs", "shifted", "host", "layers", "machines"} {
		if err := os.Mkdir(h.path(name), 0o755); err != nil {
			return err
		}
	}
	if err := makeBase(h.path("base")); err != nil {
		return err
	}
	if err := h.unpackPackages("packages"); err != nil {
		return err
	}
	if err := os.MkdirAll(h.path("packages", filesInside), 0o755); err != nil {
		return err
	}
	if err := h.mountThread.do(h.mountPrograms); err != nil {
		return err
	}
	if d, ok := distributions[h.base]; ok {
		if err := h.unpackDistribution(h.base, d, "distribution"); err != nil {
			return err
		}
		if err := (base{h.path("distribution")}).baseFiles(); err != nil {
			return err
		}
	}
	if err := h.mountThread.do(h.mountShifted); err != nil {
		return err
	}
	return h.choosePort()
}

// requiredDirs are the directories that a machine requires.
var requiredDirs = []string{"/bin", "/etc", "/lib", "/sbin", "/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/var", "/var/lib"}

// checkMounts returns an error if one of these directories is a separate mount. An
// overlay does not contain mounts below its root.
func checkMounts(mountinfo string) error {
	content, err := os.ReadFile(mountinfo)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		// proc(5): the fifth field is the mount point.
		if f := strings.Fields(line); len(f) > 4 && slices.Contains(requiredDirs, f[4]) {
			return fmt.Errorf("the host's %s is a separate mount, which an overlay of / does not contain", f[4])
		}
	}
	return nil
}

// mountShifted mounts the layers, and the host's root if it is the base, with the uids of a machine; it runs
// on the mount thread.
func (h *host) mountShifted() error {
	if err := shiftMount(h.dir, h.path("shifted")); err != nil {
		return err
	}
	if h.base != HostBase {
		return nil
	}
	return shiftMount("/", h.path("host"))
}

// bottom returns the lowest layers of every machine, topmost first.
func (h *host) bottom() []string {
	if h.base != HostBase {
		return []string{h.path("shifted", "distribution")}
	}
	return []string{h.path("shifted", "packages"), h.path("shifted", "base"), h.path("host")}
}

// mount runs on the mount thread.
func (h *host) mount() error {
	if err := unix.Mount("rehearsal", h.dir, "tmpfs", 0, "mode=700,size=80%"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	fd, err := unix.Open(h.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	h.files = os.NewFile(uintptr(fd), h.dir)
	return nil
}

// path returns a path of the host's files that is valid on every thread of this
// process.
func (h *host) path(name ...string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(h.files.Fd())), filepath.Join(name...))
}

// portLockAddress is not the address of any machine.
const portLockAddress = "127.77.255.254"

// choosePort chooses 22, or the first free port from 2222. Servers of the host (which
// listen on all addresses) and other rehearsals can use ports.
func (h *host) choosePort() error {
	var err error
	for port := 2221; port < 2322; port++ {
		p := port
		if port == 2221 {
			p = 22
		}
		if h.portLock, err = net.Listen("tcp4", net.JoinHostPort(portLockAddress, strconv.Itoa(p))); err == nil {
			h.port = p
			return nil
		}
	}
	return fmt.Errorf("finding a port for SSH (22, 2222 to 2321): %w", err)
}

func (h *host) Port() int { return h.port }

// check starts the first process of a machine.
func (h *host) check() error {
	m, err := h.newMachine(Spec{ID: "check", User: "check", Address: "127.77.255.253"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := m.begin(ctx)
	if err == nil {
		b.kill()
	}
	return errors.Join(err, m.remove())
}

func (h *host) Start(ctx context.Context, spec Spec) (Machine, error) {
	if net.ParseIP(spec.Address) == nil || spec.ID == "" || spec.User == "" {
		return nil, fmt.Errorf("starting a machine: got ID %q, user %q and address %q, want non-empty values and an IP address", spec.ID, spec.User, spec.Address)
	}
	m, err := h.newMachine(spec)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.ID, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return nil, fmt.Errorf("starting %s: %w", spec.ID, errClosed)
	}
	if err := m.start(ctx); err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.ID, errors.Join(err, m.remove()))
	}
	return m, nil
}

func (h *host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	var all []*machine
	for m := range h.machines {
		all = append(all, m)
	}
	h.mu.Unlock()
	var err error
	for _, m := range all {
		err = errors.Join(err, m.Terminate(context.Background()))
	}
	if h.portLock != nil {
		err = errors.Join(err, h.portLock.Close())
	}
	if h.files != nil {
		programs := h.path("programs")
		err = errors.Join(err, h.mountThread.do(func() error {
			_ = unix.Unmount(programs, unix.MNT_DETACH) // it may not be mounted yet
			return unix.Unmount(h.dir, unix.MNT_DETACH)
		}), h.files.Close())
	}
	h.mountThread.end()
	return errors.Join(err, os.Remove(h.dir))
}

// directory creates a new directory in the host's files and returns its name.
func (h *host) directory(under string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "", errClosed
	}
	h.next++
	name := filepath.Join(under, strconv.Itoa(h.next))
	return name, os.Mkdir(h.path(name), 0o755)
}
