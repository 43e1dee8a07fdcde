// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// environment returns the environment of this process plus toolEnv.
func environment(build, packer, work string) []string {
	env := os.Environ()
	for key, value := range toolEnv(build, packer, work) {
		env = append(env, key+"="+value)
	}
	return env
}

// runner returns a function that runs programs in a folder, and the plugin from build.
func runner(build, work string, env []string) func(name string, args ...string) (string, error) {
	return func(name string, args ...string) (string, error) {
		path := name
		if name == "packer-plugin-ethminer" {
			path = filepath.Join(build, name)
		}
		command := exec.Command(path, args...)
		command.Dir, command.Env = work, env
		out, err := command.CombinedOutput()
		return string(out), err
	}
}

// serve runs a rehearsal server with the state folder state until the test ends.
func serve(t *testing.T, build, work string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, filepath.Join(build, "packer-plugin-ethminer"), append([]string{"rehearsal-aws", "serve", "--state", "state"}, args...)...)
	server.Dir, server.Env = work, env
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = server.Wait()
	})
	// The first server of a host downloads packages for its instances.
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(work, "state/server.json")); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the rehearsal server did not start")
		}
	}
}
