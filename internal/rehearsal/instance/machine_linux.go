// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
)

// machine implements Machine.
type machine struct {
	host     *host
	spec     Spec
	dir      string // folder of its files, relative to the host's
	metadata *imds.Service

	mu    sync.Mutex // held during state changes
	lower *layer     // its layers; replacing it also requires host.mu
	boot  *boot      // nil while the machine is off
	off   chan struct{}
	gone  bool
}

var (
	errGone   = errors.New("the machine is terminated")
	errClosed = errors.New("the host of the machines is closed")
)

// newMachine creates the files of a machine, which is off.
func (h *host) newMachine(spec Spec) (*machine, error) {
	dir, err := h.directory("machines")
	if err != nil {
		return nil, err
	}
	m := &machine{host: h, spec: spec, dir: dir, off: make(chan struct{}), lower: &layer{}}
	m.metadata = imds.New(m.describe, time.Now)
	err = errors.Join(m.emptyUpper(), os.Mkdir(m.hostPath("root"), 0o755))
	if err == nil && spec.Layer == "" {
		err = m.writeFirstDisk()
	}
	if err != nil {
		return nil, errors.Join(err, h.discard([]string{dir}))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if spec.Layer != "" {
		l, ok := h.layers[spec.Layer]
		if !ok {
			return nil, errors.Join(fmt.Errorf("no such layer %q", spec.Layer), h.discard([]string{dir}))
		}
		m.lower = &layer{dirs: append([]*layerDir(nil), l.dirs...)}
		m.lower.hold()
	}
	h.machines[m] = true
	return m, nil
}

// remove deletes a machine that is off, and its files.
func (m *machine) remove() error {
	m.host.mu.Lock()
	m.gone = true
	delete(m.host.machines, m)
	unused := append(m.lower.release(), m.dir)
	m.host.mu.Unlock()
	root := m.root()
	err := m.host.mountThread.do(func() error { return unix.Unmount(root, unix.MNT_DETACH) })
	if errors.Is(err, unix.EINVAL) { // it never booted
		err = nil
	}
	return errors.Join(err, m.host.discard(unused))
}

// start boots the machine and serves SSH; m.mu is held.
func (m *machine) start(ctx context.Context) error {
	b, err := m.power(ctx)
	if err != nil {
		return err
	}
	if err := b.network.serveSSH(m.spec.Address, m.host.port); err != nil {
		b.kill()
		return err
	}
	m.boot = b
	go m.watch(b)
	return nil
}

// watch waits for a machine that shuts itself down, and marks it as off or reboots it.
func (m *machine) watch(b *boot) {
	<-b.ended
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot != b {
		return // shut down by a method of machine
	}
	m.boot = nil
	b.kill()
	if b.reboot.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), bootPatience)
		defer cancel()
		if m.start(ctx) == nil {
			return
		}
	}
	close(m.off)
}

// bootPatience limits a boot that a machine itself asked for. A loaded host can take
// many seconds.
const bootPatience = 3 * time.Minute

// down shuts the machine down; m.mu is held.
func (m *machine) down(ctx context.Context) {
	b := m.boot
	m.boot = nil
	if b != nil {
		b.down(ctx)
	}
}

func (m *machine) Stop(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errGone
	}
	m.down(ctx)
	return nil
}

func (m *machine) Boot(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errGone
	}
	if m.boot != nil {
		return nil
	}
	select {
	case <-m.off:
		m.off = make(chan struct{})
	default:
	}
	if err := m.start(ctx); err != nil {
		return fmt.Errorf("booting %s: %w", m.spec.ID, err)
	}
	return nil
}

func (m *machine) Reboot(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errGone
	}
	if m.boot == nil {
		return fmt.Errorf("rebooting %s: the machine is off", m.spec.ID)
	}
	m.down(ctx)
	if err := m.start(ctx); err != nil {
		return fmt.Errorf("rebooting %s: %w", m.spec.ID, err)
	}
	return nil
}

func (m *machine) Capture(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errGone
	}
	m.host.mu.Lock()
	_, taken := m.host.layers[name]
	m.host.mu.Unlock()
	if name == "" || taken {
		return fmt.Errorf("capturing %s: layer %q already exists, or its name is empty", m.spec.ID, name)
	}
	take := m.freeze
	if m.boot != nil {
		// Write what the machine's files have in its kernel's memory, which is the host's.
		if err := m.host.run(ctx, "", "/usr/bin/nsenter", "--target="+strconv.Itoa(m.boot.leader), "--user", "--mount", "/bin/sync", "--file-system", "/"); err != nil {
			return fmt.Errorf("capturing %s: %w", m.spec.ID, err)
		}
		take = m.copyUpper
	}
	if err := take(name); err != nil {
		return fmt.Errorf("capturing %s: %w", m.spec.ID, err)
	}
	return nil
}

func (m *machine) Terminate(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errGone
	}
	if b := m.boot; b != nil {
		m.boot = nil
		b.kill()
	}
	if err := m.remove(); err != nil {
		return fmt.Errorf("terminating %s: %w", m.spec.ID, err)
	}
	return nil
}

// consoleSize is how much of a console EC2 returns
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html).
const consoleSize = 64 << 10

func (m *machine) Console() string {
	text, _ := os.ReadFile(m.hostPath("console")) // none before the first boot, or after the machine was removed
	return string(text[max(0, len(text)-consoleSize):])
}

func (m *machine) Off() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.off
}
