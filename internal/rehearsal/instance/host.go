// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package instance is what a rehearsal's EC2 instances run on: a sandbox that
// one logs in to by SSH, over the host's own root file system, which it cannot
// change.
//
// A machine's root is an overlay: the host's /, a base layer that hides what is
// the host's own (homes, secrets, enabled services, whatever is no part of a
// Linux system), the layers of the image, and what the machine writes, which
// is in memory. Its processes have pid, mount, IPC and host name spaces of
// their own. The first of them is this executable again: it runs user data,
// enabled services and what comes by SSH, and answers systemctl.
//
// It is there to rehearse in, and is no security boundary. Root in a machine
// lacks the capabilities that reach the host's kernel, but shares that kernel,
// its memory and processors, and its network: what a machine serves, it serves
// on the host's addresses, and two machines can't have one port. What else
// differs from an instance of EC2: there is no metadata service, no kernel of
// its own, no disk besides /, and of systemd only services; what can't be done
// fails and says so.
//
// The host needs Linux, root, overlayfs and tmpfs. Check tells.
package instance

import "context"

// Spec describes a machine to start.
type Spec struct {
	// ID is the EC2 instance id; it also is the machine's host name.
	ID string
	// Layer is the name that an earlier Capture gave to the file system to
	// start from, empty for the base system.
	Layer string
	// User is the login user, who may sudo without a password.
	User string
	// AuthorizedKeys are the public keys that may log in, in the format of
	// authorized_keys. It is seeded on the first boot only, as cloud-init does.
	AuthorizedKeys []byte
	// UserData is what RunInstances was given, decoded. Of cloud-init's formats
	// scripts are run as root once, on the first boot, and boothooks at every
	// boot, also as parts of a MIME message, and compressed.
	UserData []byte
	// Address is the loopback address that the machine answers on, such as
	// 127.77.0.1; every machine of a host has its own.
	Address string
}

// Host starts machines and keeps the layers that images are made of. Its
// methods may be called from several goroutines.
type Host interface {
	// Port is the TCP port that every machine answers SSH on: 22 where it is
	// free on the loopback addresses, else another.
	Port() int
	// Start boots a machine and returns as soon as SSH answers.
	Start(ctx context.Context, spec Spec) (Machine, error)
	// Drop forgets a layer. Machines that were started from it keep it.
	Drop(layer string) error
	// Close ends every machine and removes everything that the host made.
	Close() error
}

// Machine is one started machine. After Terminate every method but Off
// returns an error.
type Machine interface {
	// Stop powers the machine off: its processes end, its files stay.
	Stop(ctx context.Context) error
	// Boot powers a stopped machine on again.
	Boot(ctx context.Context) error
	// Reboot drops every connection and boots again with the same files.
	Reboot(ctx context.Context) error
	// Capture freezes the machine's files under the name layer. The machine
	// goes on from there and may be running or stopped.
	Capture(ctx context.Context, layer string) error
	// Terminate ends the machine and removes its files.
	Terminate(ctx context.Context) error
	// Off is closed once the machine has powered itself off from inside
	// (shutdown, poweroff); Boot makes a new one.
	Off() <-chan struct{}
}
