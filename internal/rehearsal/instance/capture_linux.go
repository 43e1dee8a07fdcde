// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// layer is a file system frozen by Capture, on top of those that its machine
// had: a directory each, none of which changes any more.
type layer struct {
	dirs []*layerDir // the topmost first
}

// layerDir is removed with its last user: a layer's name, or a machine.
type layerDir struct {
	dir   string
	users int
}

// hold counts another user of the layer; h.mu is held.
func (l *layer) hold() {
	for _, d := range l.dirs {
		d.users++
	}
}

// release is the inverse of hold; it returns what nobody uses any more.
func (l *layer) release() (unused []string) {
	for _, d := range l.dirs {
		if d.users--; d.users == 0 {
			unused = append(unused, d.dir)
		}
	}
	return unused
}

// paths names the directories for an overlay.
func (l *layer) paths() []string {
	var names []string
	for _, d := range l.dirs {
		names = append(names, d.dir)
	}
	return append(names, "base")
}

// discard removes directories of the host's files.
func (h *host) discard(dirs []string) error {
	var err error
	for _, d := range dirs {
		err = errors.Join(err, os.RemoveAll(h.path(d)))
	}
	return err
}

func (h *host) Drop(name string) error {
	h.mu.Lock()
	l, ok := h.layers[name]
	if !ok {
		h.mu.Unlock()
		return fmt.Errorf("dropping layer %q: there is none of this name", name)
	}
	delete(h.layers, name)
	unused := l.release()
	h.mu.Unlock()
	return h.discard(unused)
}

// freeze names the machine's files and stacks a new layer on them. The machine
// is off, so its upper layer need not be copied but becomes the image's.
func (m *machine) freeze(name string) error {
	dir, err := m.host.directory("layers")
	if err != nil {
		return err
	}
	if err := unix.Rename(m.hostPath("upper"), m.host.path(dir)); err != nil { // os.Rename takes no empty target
		return err
	}
	if err := m.emptyUpper(); err != nil {
		return err
	}
	m.stack(name, dir, true)
	return nil
}

// copyUpper names a copy of the machine's files while it runs. As with EC2's
// NoReboot, a file that is being written may be torn.
func (m *machine) copyUpper(name string) error {
	dir, err := m.host.directory("layers")
	if err != nil {
		return err
	}
	if err := copyTree(m.hostPath("upper"), m.host.path(dir)); err != nil {
		return errors.Join(err, m.host.discard([]string{dir}))
	}
	m.stack(name, dir, false)
	return nil
}

// stack enters dir, on top of the machine's layers, under name; and if the
// machine is to go on from there, on top of its own.
func (m *machine) stack(name, dir string, own bool) {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	top := &layerDir{dir: dir}
	l := &layer{dirs: append([]*layerDir{top}, m.lower.dirs...)}
	l.hold()
	m.host.layers[name] = l
	if own {
		m.lower = &layer{dirs: append([]*layerDir(nil), l.dirs...)}
		top.users++ // the others the machine has already
	}
}

// emptyUpper makes what the machine writes to.
func (m *machine) emptyUpper() error {
	for _, d := range []string{"upper", "work"} {
		if err := os.RemoveAll(m.hostPath(d)); err != nil {
			return err
		}
		if err := os.Mkdir(m.hostPath(d), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// hostPath is a file of the machine's own directory, as this process sees it.
func (m *machine) hostPath(name string) string { return m.host.path(filepath.Join(m.dir, name)) }
