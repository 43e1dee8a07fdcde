// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// host is a Host. All its files are on a tmpfs that only its den sees mounted,
// since an overlay's upper layer can't lie on another overlay, which is what a
// container's root is.
type host struct {
	den    *den
	dir    string // where the tmpfs is mounted, for the den
	files  *os.File
	port   int
	sentry net.Listener // holds the port against another host

	mu       sync.Mutex
	closed   bool
	next     int // names the next directory
	layers   map[string]*layer
	machines map[*machine]bool
}

// Check says in one sentence what is missing for a sandbox here, nil if
// nothing is. It finds out by making one.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("a rehearsal's instance needs root, for an overlay of the root file system: run the rehearsal's server with sudo")
	}
	dir, err := os.MkdirTemp("", "rehearsal-check-")
	if err != nil {
		return fmt.Errorf("a rehearsal's instance needs a temporary directory: %w", err)
	}
	h, err := newHost(dir)
	if err == nil {
		err = errors.Join(h.check(), h.Close())
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("no sandbox for a rehearsal's instance can be had here: %w", err)
	}
	return nil
}

// NewHost makes a host of machines whose files are mounted below dir, which it
// creates; nobody but the machines sees the mount. It returns what Check would
// if no sandbox can be had.
func NewHost(dir string) (Host, error) {
	if os.Geteuid() != 0 {
		return nil, Check()
	}
	h, err := newHost(dir)
	if err != nil {
		return nil, fmt.Errorf("making a host for a rehearsal's instances: %w", err)
	}
	return h, nil
}

func newHost(dir string) (*host, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d, err := newDen()
	if err != nil {
		return nil, err
	}
	h := &host{den: d, dir: filepath.Join(dir, "machines"), layers: map[string]*layer{}, machines: map[*machine]bool{}}
	if err := h.furnish(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// furnish mounts the host's files, fills them, and finds a port.
func (h *host) furnish() error {
	if err := oneFileSystem("/proc/self/mountinfo"); err != nil {
		return err
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	if err := h.den.do(h.mount); err != nil {
		return err
	}
	for _, name := range []string{"base", "layers", "machines"} {
		if err := os.Mkdir(h.path(name), 0o755); err != nil {
			return err
		}
	}
	if err := copyTool(h.path("tool")); err != nil {
		return fmt.Errorf("copying this executable: %w", err)
	}
	if err := makeBase(h.path("base")); err != nil {
		return err
	}
	return h.choosePort()
}

// indispensable are directories that a machine can't do without.
var indispensable = []string{"/bin", "/etc", "/lib", "/sbin", "/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/var", "/var/lib"}

// oneFileSystem says no to a host that has an indispensable directory as a
// mount of its own, since an overlay shows what is below the mounts.
func oneFileSystem(mountinfo string) error {
	content, err := os.ReadFile(mountinfo)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		// proc(5): the fifth field is where it is mounted.
		if f := strings.Fields(line); len(f) > 4 && slices.Contains(indispensable, f[4]) {
			return fmt.Errorf("the host's %s is a mount of its own, which an overlay of / does not show", f[4])
		}
	}
	return nil
}

// mount runs in the den.
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

// path is how every thread of this process reaches a file of the host.
func (h *host) path(name ...string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(h.files.Fd())), filepath.Join(name...))
}

// copyTool copies this executable: sudo must be setuid, which no one's own
// file should become.
func copyTool(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Chmod(0o755|os.ModeSetuid), f.Close())
}

// sentryAddress is an address that no machine has.
const sentryAddress = "127.77.255.254"

// choosePort takes 22, or the first of 2222 and up, that neither a server of
// the host's own (which listens on all addresses) nor another rehearsal has.
func (h *host) choosePort() error {
	var err error
	for port := 2221; port < 2322; port++ {
		p := port
		if port == 2221 {
			p = 22
		}
		if h.sentry, err = net.Listen("tcp4", net.JoinHostPort(sentryAddress, strconv.Itoa(p))); err == nil {
			h.port = p
			return nil
		}
	}
	return fmt.Errorf("finding a port for SSH (22, 2222 to 2321): %w", err)
}

func (h *host) Port() int { return h.port }

// check boots a machine as far as its mounts.
func (h *host) check() error {
	m, err := h.newMachine(Spec{ID: "check"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := m.power(ctx, true)
	if err == nil {
		b.kill()
	}
	return errors.Join(err, m.remove())
}

func (h *host) Start(ctx context.Context, spec Spec) (Machine, error) {
	if net.ParseIP(spec.Address) == nil || spec.ID == "" || spec.User == "" {
		return nil, fmt.Errorf("starting a machine: it needs an ID, a user and an address, got %q, %q, %q", spec.ID, spec.User, spec.Address)
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
	if h.sentry != nil {
		err = errors.Join(err, h.sentry.Close())
	}
	if h.files != nil {
		err = errors.Join(err, h.files.Close(), h.den.do(func() error { return unix.Unmount(h.dir, unix.MNT_DETACH) }))
	}
	h.den.end()
	return errors.Join(err, os.Remove(h.dir))
}

// directory makes a new directory of the host's files and returns its name.
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
