// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// HostBase is the base of machines that are an overlay of the host's root.
const HostBase = "host"

// distribution is a base that debootstrap makes.
type distribution struct{ suite, mirror, components string }

// distributions are the bases besides HostBase, those of the rehearsal's public images.
var distributions = map[string]distribution{
	"debian:12":    {"bookworm", "http://deb.debian.org/debian", "main"},
	"debian:13":    {"trixie", "http://deb.debian.org/debian", "main"},
	"ubuntu:22.04": {"jammy", "http://archive.ubuntu.com/ubuntu", "main,universe"},
	"ubuntu:24.04": {"noble", "http://archive.ubuntu.com/ubuntu", "main,universe"},
}

// CheckBase returns an error for an unknown base. An empty one is HostBase.
func CheckBase(base string) error {
	if _, known := distributions[base]; known || base == "" || base == HostBase {
		return nil
	}
	return fmt.Errorf("got %q, want %s or one of %s", base, HostBase, strings.Join(slices.Sorted(maps.Keys(distributions)), ", "))
}
