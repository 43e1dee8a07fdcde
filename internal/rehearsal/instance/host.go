// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package instance is what a rehearsal's EC2 instances run on: a sandbox that
// one logs in to by SSH, over the host's own root file system, which it cannot
// change.
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
	// UserData is what RunInstances was given, decoded; a script (#!) is run
	// as root once, on the first boot.
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
