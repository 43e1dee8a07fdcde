// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// keptCapabilities are root's capabilities in a machine. They exclude those that affect
// the host's kernel, clock, network or devices. CAP_NET_RAW would let it read the host's
// traffic, also that of loopback.
var keptCapabilities = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_SETFCAP, unix.CAP_SYS_CHROOT,
	unix.CAP_NET_BIND_SERVICE, unix.CAP_MKNOD, unix.CAP_AUDIT_WRITE,
	unix.CAP_SYS_NICE, unix.CAP_IPC_LOCK, unix.CAP_IPC_OWNER, unix.CAP_LEASE,
}

// dropCapabilities drops all other capabilities of this thread and its future children.
func dropCapabilities() error {
	var mask [2]uint32
	for _, c := range keptCapabilities {
		mask[c/32] |= 1 << (c % 32)
	}
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if mask[c/32]&(1<<(c%32)) != 0 {
			continue
		}
		// Kernels older than the capability return EINVAL.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have, data [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return fmt.Errorf("reading the capabilities: %w", err)
	}
	for i := range data {
		m := mask[i] & have[i].Permitted // the server itself may lack some
		data[i] = unix.CapUserData{Effective: m, Permitted: m}
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("setting the capabilities: %w", err)
	}
	return nil
}
