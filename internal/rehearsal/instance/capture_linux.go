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

// layer is a file system saved by Capture: the immutable directories of the machine's
// layers, including its own writes.
type layer struct {
	dirs []*layerDir // topmost first
}

// layerDir is a directory of layers. Its last user, a layer or a machine, removes it.
type layerDir struct {
	dir   string
	users int
}

// hold adds a user of the layer; h.mu is held.
func (l *layer) hold() {
	for _, d := range l.dirs {
		d.users++
	}
}

// release is the inverse of hold. It returns the directories that are now unused.
func (l *layer) release() (unused []string) {
	for _, d := range l.dirs {
		if d.users--; d.users == 0 {
			unused = append(unused, d.dir)
		}
	}
	return unused
}

// paths returns the directories for an overlay.
func (l *layer) paths() []string {
	var names []string
	for _, d := range l.dirs {
		names = append(names, d.dir)
	}
	return names
}

// discard removes directories of the host.
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
		return fmt.Errorf("dropping layer %q: no such layer", name)
	}
	delete(h.layers, name)
	unused := l.release()
	h.mu.Unlock()
	return h.discard(unused)
}

// freeze saves the machine's files as a layer and adds a new upper layer. The machine
// is off, so its upper layer becomes part of the image without a copy.
func (m *machine) freeze(name string) error {
	dir, err := m.host.directory("layers")
	if err != nil {
		return err
	}
	if err := unix.Rename(m.hostPath("upper"), m.host.path(dir)); err != nil { // os.Rename rejects an empty target
		return err
	}
	if err := m.emptyUpper(); err != nil {
		return err
	}
	m.stack(name, dir, true)
	return nil
}

// copyUpper saves a copy of the machine's files while it runs. Like with EC2's
// NoReboot, files being written can be inconsistent.
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

// stack registers dir, on top of the machine's layers, under name. With current, the
// machine also continues on top of dir.
func (m *machine) stack(name, dir string, current bool) {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	top := &layerDir{dir: dir}
	l := &layer{dirs: append([]*layerDir{top}, m.lower.dirs...)}
	l.hold()
	m.host.layers[name] = l
	if current {
		m.lower = &layer{dirs: append([]*layerDir(nil), l.dirs...)}
		top.users++ // the machine already uses the others
	}
}

// emptyUpper creates an empty upper layer.
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

// hostPath returns the path of a file in the machine's directory for this process.
func (m *machine) hostPath(name string) string { return m.host.path(filepath.Join(m.dir, name)) }
