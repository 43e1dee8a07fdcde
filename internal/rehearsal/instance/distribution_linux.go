// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// distributionFormat changes whenever the same distribution is made otherwise.
const distributionFormat = "1"

// unpackDistribution unpacks a distribution into the host's folder dir, and makes it
// first if necessary: 100 MB are downloaded, and an archive of 120 MB is kept. Newer
// packages come with the next one: delete the archive.
func (h *host) unpackDistribution(name string, d distribution, dir string) error {
	archive := strings.ReplaceAll(name, ":", "-") + "-" + distributionFormat + ".tar.gz"
	return h.cached(archive, dir, func() error {
		c := h.program("/usr/sbin/debootstrap", "--variant=minbase", "--components="+d.components, d.suite, filepath.Join(filesInside, dir), d.mirror)
		c.SysProcAttr.Cloneflags = unix.CLONE_NEWNS // its mounts end with it
		c.Env = append(c.Env, proxies()...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := h.mountThread.do(c.Run); err != nil {
			return fmt.Errorf("installing %s with debootstrap: %w:\n%s", name, err, lastLines(out.String(), 8))
		}
		// debootstrap does not find packages by what they provide.
		err := h.install(machinePackages, func(root, _ string) error { return unix.Mount(h.path(dir), root, "", unix.MS_BIND, "") })
		if err != nil {
			return fmt.Errorf("installing packages of %s: %w", name, err)
		}
		return errors.Join(os.RemoveAll(h.path(dir, "var/cache/apt")), os.RemoveAll(h.path(dir, "var/lib/apt/lists")))
	})
}

// lastLines returns the last lines of a program's output.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
