// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// overlay mounts layers, topmost first, on root. Without an upper folder it is read-only.
func overlay(root string, lowers []string, upper, work string, flags uintptr) error {
	data := "index=off,lowerdir=" + strings.Join(lowers, ":")
	if upper != "" {
		data += ",upperdir=" + upper + ",workdir=" + work
	}
	err := unix.Mount("rehearsal", root, "overlay", flags, data+",redirect_dir=on")
	if errors.Is(err, unix.EINVAL) { // the kernel lacks redirect_dir
		err = unix.Mount("rehearsal", root, "overlay", flags, data)
	}
	if err != nil {
		return fmt.Errorf("mounting an overlayfs over /: %w", err)
	}
	return nil
}

// nameService copies the host's resolver configuration into root. The file can be a
// link into /run, which an overlay does not contain.
func nameService(root string) error {
	const name = "/etc/resolv.conf"
	content, err := os.ReadFile(name)
	if err != nil {
		return nil //nolint:nilerr // a host without the file cannot resolve names either
	}
	if bytes.Contains(content, []byte("nameserver 127.")) { // a resolver on the host's loopback: use those that it asks
		if real, err := os.ReadFile("/run/systemd/resolve/resolv.conf"); err == nil {
			content = real
		}
	}
	if err := os.Remove(root + name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(root+name, content, 0o644)
}
