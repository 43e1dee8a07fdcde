// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package remote runs scripts on a machine through Packer's communicator and reads
// their answers.
package remote

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// stopPatience is how long a cancelled phase waits for its remote script to end.
const stopPatience = 1500 * time.Millisecond

// Machine is an instance, reached through Packer's communicator only. Each script
// runs in a process group that can be stopped, and under its own time limit on the
// instance, so that nothing outlives a lost connection for long.
type Machine struct {
	comm    packersdk.Communicator
	scripts fs.FS
	root    string // prefix of every installation path
	folder  string // where to create the scratch folder; empty for the login user's default

	// Work is the scratch folder, which the login user creates; User is that user.
	Work, User string

	mayRoot bool // sudo may be used
	sudo    bool // root requires sudo
	// Env is the environment of every script; only tests set it.
	Env map[string]string
}

func (m *Machine) as(root bool) []string {
	if root && m.sudo {
		return []string{"sudo", "-n"}
	}
	return nil
}

// path returns a path in the work folder.
func (m *Machine) path(name string) string { return m.Work + "/" + name }

// Scratch returns a path for data that must stay off the root volume.
func (m *Machine) Scratch(name string) string { return m.Work + "/scratch/" + name }

// start runs a command with a line of input, or without one, and waits for its exit
// code. If ctx ends first, it calls stop, waits stopPatience for the end, and returns
// ctx's cause.
func (m *Machine) start(ctx context.Context, command, input string, out, diag io.Writer, stop func()) (int, error) {
	cmd := &packersdk.RemoteCmd{Command: command, Stdout: out, Stderr: diag}
	if input != "" {
		cmd.Stdin = strings.NewReader(input + "\n")
	}
	type outcome struct {
		status int
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		// Not ctx: a communicator that honors it would drop the session but
		// leave the process running.
		if err := m.comm.Start(context.WithoutCancel(ctx), cmd); err != nil {
			done <- outcome{err: &lostError{fmt.Errorf("running a command on the instance: %w", err)}}
			return
		}
		done <- outcome{status: cmd.Wait()}
	}()
	select {
	case o := <-done:
		return o.status, o.err
	case <-ctx.Done():
	}
	if stop != nil {
		go stop()
		select {
		case <-done:
		case <-time.After(stopPatience):
		}
	}
	return 0, context.Cause(ctx)
}
