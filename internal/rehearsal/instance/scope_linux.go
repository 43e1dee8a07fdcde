// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A machine shares the host's network namespace and its user ids. These are the ways to
// the host that remain open to root without capabilities.

// isolate closes them for this thread and its future children. It requires
// CAP_SYS_ADMIN.
func isolate() error { return errors.Join(denyAbstractSockets(), denyKeyrings()) }

// scopingABI is the version of Landlock that can scope sockets (Linux 6.12).
const scopingABI = 6

// landlockABI returns the version of Landlock; 0 if the kernel has none.
func landlockABI() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// denyAbstractSockets denies connections to abstract Unix sockets that were not created
// in the machine, such as those of a session bus or of container runtimes. Older kernels
// cannot deny them.
func denyAbstractSockets() error {
	if landlockABI() < scopingABI {
		return nil
	}
	rules := unix.LandlockRulesetAttr{Scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("creating a Landlock ruleset: %w", errno)
	}
	defer func() { _ = unix.Close(int(fd)) }()
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("denying abstract sockets: %w", errno)
	}
	return nil
}

// keyCalls are the numbers of add_key by architecture; those of request_key and keyctl
// follow.
var keyCalls = map[uint32]uint32{
	unix.AUDIT_ARCH_X86_64: 248, unix.AUDIT_ARCH_I386: 286, unix.AUDIT_ARCH_AARCH64: 217, unix.AUDIT_ARCH_ARM: 309,
}

// denyKeyrings denies the kernel's keyrings, which belong to a user id: root of a
// machine would have those of the host's root.
func denyKeyrings() error {
	const (
		nr, arch = 0, 4 // offsets in struct seccomp_data
		load     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		x32      = 0x40000000 // flag of system calls of the x32 ABI
	)
	filter := []unix.SockFilter{{Code: load, K: arch}}
	for name, first := range keyCalls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: name, Jf: 6},
			unix.SockFilter{Code: load, K: nr},
			unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: ^uint32(x32)},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: first, Jf: 2},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: first + 2, Jt: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		)
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("denying the keyrings: %w", err) // EINVAL: a kernel without seccomp
	}
	return nil
}
