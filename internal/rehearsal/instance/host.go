// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package instance runs the EC2 instances of a rehearsal: sandboxes that accept SSH
// connections and use the host's root file system, which they cannot change.
//
// A machine's root is an overlay of these layers: the host's /, a base layer that
// hides the host's own data (homes, secrets, enabled services, files outside a Linux
// system), the layers of the image, and the machine's writes, which are in memory.
// Its processes have their own pid, mount, IPC and UTS namespaces. The first process
// is this executable: it runs user data, enabled services and SSH commands, and
// implements systemctl.
//
// A machine is not a security boundary. Root in a machine lacks the capabilities that
// affect the host's kernel, but shares the kernel, memory, processors and network of
// the host. Services listen on the host's addresses, and two machines cannot use the
// same port. Unlike an EC2 instance, a machine has no metadata service, no kernel of
// its own, no disk except /, and only the services of systemd. Unsupported operations
// fail with an error.
//
// The host requires Linux, root, overlayfs and tmpfs, which Check verifies.
package instance

import "context"

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
	// UserData is the decoded user data of RunInstances. Scripts run as root once,
	// on the first boot; boothooks run at every boot. Both can be parts of a MIME
	// message, and compressed. Other formats of cloud-init are not supported.
	UserData []byte
	// Address is the loopback address of the machine, such as 127.77.0.1; every
	// machine of a host has its own address.
	Address string
}

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
	// Off returns a channel that is closed once the machine powers itself off
	// (shutdown, poweroff); Boot creates a new channel.
	Off() <-chan struct{}
}
