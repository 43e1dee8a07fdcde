// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package instance runs the EC2 instances of a rehearsal: Linux systems that
// systemd-nspawn boots on the host, which they cannot change.
//
// A machine's root is an overlay of these layers, from below: the base, the layers of the
// image, and the machine's writes, which are in memory. The base is the host's /, a layer
// that hides the host's own data, and a layer with the packages that the host lacks; or a
// distribution that debootstrap makes. systemd is the machine's first process, sshd its
// way in, and cloud-init makes an instance of it: it asks the metadata service (package
// imds), which the server answers in the machine's network namespace.
//
// A machine has its own user, pid, mount, IPC, UTS and network namespaces. Its root is an
// unprivileged user of the host. It shares the kernel, memory and processors of the host,
// reaches the host's network through a user-mode router (pasta), and accepts SSH at an
// address on the host's loopback.
//
// The host requires Linux 6.3, root and overlayfs, which Check verifies.
package instance

import (
	"context"
	"errors"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
)

// ErrNotRoot is returned by Check and NewHost if this process is not root.
var ErrNotRoot = errors.New("rehearsal instances require root for an overlay of the root file system")

// Spec describes a machine to start.
type Spec struct {
	// ID is the EC2 instance id, which is also the host name.
	ID string
	// Layer is the name of a captured file system from which the machine starts;
	// empty for the base system.
	Layer string
	// User is the login user, who can use sudo without a password.
	User string
	// AuthorizedKeys are the public keys of the login user, in the format of
	// authorized_keys. They are written on the first boot only, as by cloud-init.
	AuthorizedKeys []byte
	// PushedKeys, if set, returns further keys that can log in now.
	PushedKeys func() []byte `json:"-"`
	// UserData is the decoded user data of RunInstances, for cloud-init.
	UserData []byte
	// Metadata describes the instance for its metadata service, at each request. The
	// fields that Spec has, and the private address, are ignored.
	Metadata func() imds.Instance `json:"-"`
	// Address is the loopback address of the machine, such as 127.77.0.1; every
	// machine of a host has its own address.
	Address string
}

// Gateway is the router in a machine's network, where no machine is (see
// portLockAddress). The host's loopback is reached there.
const Gateway = "10.0.255.254"

// Host starts machines and stores the layers of images. Its methods are safe for
// concurrent use.
type Host interface {
	// Port is the SSH port of every machine: 22 if it is free on the loopback
	// addresses, otherwise another port.
	Port() int
	// Start boots a machine and returns once SSH accepts connections.
	Start(ctx context.Context, spec Spec) (Machine, error)
	// Drop deletes a layer. Machines that were started from it keep it.
	Drop(layer string) error
	// Close terminates every machine and deletes all files of the host.
	Close() error
}

// Machine is a started machine. After Terminate, every method except Off returns an
// error.
type Machine interface {
	// Stop powers the machine off: its processes end, and its files remain.
	Stop(ctx context.Context) error
	// Boot powers a stopped machine on again.
	Boot(ctx context.Context) error
	// Reboot drops every connection and boots again with the same files.
	Reboot(ctx context.Context) error
	// Capture saves the machine's files as the named layer. The machine may be
	// running or stopped, and remains usable.
	Capture(ctx context.Context, layer string) error
	// Terminate ends the machine and deletes its files.
	Terminate(ctx context.Context) error
	// Console returns the end of what the machine has written to its console since its
	// last boot, up to 64 KiB; it also works after the machine has ended.
	Console() string
	// Off returns a channel that is closed once the machine powers itself off
	// (shutdown, poweroff); Boot creates a new channel.
	Off() <-chan struct{}
}
