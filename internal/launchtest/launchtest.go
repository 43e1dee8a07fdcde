// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package launchtest checks an instance that was launched from a finished image: that it
// boots, that its service runs as it will in a fleet, and that it mines at the rate of the
// image's benchmark. It works on a machine that is logged in to, and knows no AWS.
//
// Each check has a file. Run makes them in order; the first one that fails ends the test.
package launchtest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poolcheck"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// The checks, in their order.
const (
	// Login is the login with a key that the image has never seen. The caller makes it.
	Login = "login"
	// CloudInit requires that cloud-init ends without an error.
	CloudInit = "cloud-init"
	// System requires that no unit of the miner has failed, and that the disk is not full.
	System = "system"
	// Service requires that ethminer.service is enabled, and keeps running.
	Service = "service"
	// HashRate compares the rate with the image's benchmark.
	HashRate = "hash-rate"
	// Xid requires that the kernel reports no error of a GPU.
	Xid = "xid"
	// Pool requires an accepted share.
	Pool = "pool"
	// Commands are the user's own.
	Commands = "commands"
)

// Optional are the checks that can be chosen. Pool and Commands are made if they are
// configured, Login always.
var Optional = []string{CloudInit, System, Service, HashRate, Xid}

// Plan is what to check.
type Plan struct {
	// Checks are some of Optional.
	Checks []string
	// Uptime is how long the service must run and mine.
	Uptime time.Duration
	// Start limits the time from the boot to the first rate, and Boot that of the boot.
	Start, Boot time.Duration
	// MaxDifference is the greatest difference to the benchmark's rate, as a share of
	// it. 0 means DefaultMaxDifference for GPUs, and no limit for a CPU, whose rate
	// depends on what else it does.
	MaxDifference float64
	// Pool is the pool to mine at; nil for none.
	Pool *poolcheck.PoolCheck
	// Commands are the user's; each must exit with 0.
	Commands []string
}

// DefaultMaxDifference is the default of Plan.MaxDifference for GPUs.
const DefaultMaxDifference = 0.1

// Seen is what a test has found.
type Seen struct {
	Checks []artifact.TestCheck
	// Rate is the median of the service's log, Expected that of the image's benchmark; 0
	// if unknown.
	Rate, Expected miner.Rate
}

// CheckError is a check that failed.
type CheckError struct {
	Check string
	// Saw is what was found, Cause the likely cause or what to do; it can be empty.
	Saw, Cause string
	// Output is what the service has printed last; empty for most checks.
	Output string
}

func (e *CheckError) Error() string {
	text := e.Check + ": " + e.Saw
	if e.Cause != "" {
		text += "; " + e.Cause
	}
	return text
}

func fail(check, saw, cause string) *CheckError {
	return &CheckError{Check: check, Saw: saw, Cause: cause}
}

// after adds what the service has printed.
func (e *CheckError) after(watch *benchmark.Watch) *CheckError {
	e.Output = strings.TrimPrefix(watch.Shown(true), "; ")
	return e
}

//go:embed scripts
var embedded embed.FS

// UserData is the user data of a test that has none of its own: it starts the service
// with the miner's benchmark, and thus needs neither a pool nor a wallet.
//
//go:embed user-data.sh
var UserData string

// folder is where the scripts are: a file system in memory, so that a full disk can be
// reported.
const folder = "/dev/shm"

// run is the state of a test.
type run struct {
	plan    Plan
	machine *remote.Machine
	booted  boot
	miner   *service
	seen    Seen
}

// Run makes the checks of a plan on a machine. Its error is a *CheckError if a check
// failed, ctx's cause, or that of a lost connection (remote.Lost). What was seen is
// returned in any case.
func Run(ctx context.Context, comm packersdk.Communicator, plan Plan) (Seen, error) {
	m, err := connect(ctx, comm)
	if err != nil {
		return Seen{}, err
	}
	r := &run{plan: plan, machine: m}
	r.passed(Login, "logged in as "+m.User)
	for _, check := range []struct {
		name string
		made bool
		run  func(context.Context) (string, error)
	}{
		{CloudInit, true, r.cloudInit}, // also waits for the boot
		{System, true, r.system},
		{Service, r.mines(), r.service},
		{HashRate, r.mines(), r.hashRate},
		{Xid, r.wants(Xid), r.xid},
		{Pool, plan.Pool != nil, r.pool},
		{Commands, len(plan.Commands) > 0, r.commands},
	} {
		if !check.made {
			continue
		}
		saw, err := check.run(ctx)
		var failed *CheckError
		switch optional := slices.Contains(Optional, check.name); {
		case errors.As(err, &failed) && optional && !r.wants(check.name):
			continue
		case errors.As(err, &failed):
			r.seen.Checks = append(r.seen.Checks, artifact.TestCheck{Name: check.name, Saw: failed.Saw})
			return r.seen, err
		case err != nil:
			return r.seen, fmt.Errorf("%s: %w", check.name, err)
		case !optional || r.wants(check.name):
			r.passed(check.name, saw)
		}
	}
	return r.seen, nil
}

func connect(ctx context.Context, comm packersdk.Communicator) (*remote.Machine, error) {
	scripts, err := fs.Sub(embedded, "scripts")
	if err != nil {
		return nil, err
	}
	return remote.New(ctx, comm, remote.Settings{Scripts: scripts, Sudo: true, Folder: folder})
}

func (r *run) wants(check string) bool { return slices.Contains(r.plan.Checks, check) }

// mines reports whether the service is watched while it mines.
func (r *run) mines() bool { return r.wants(Service) || r.wants(HashRate) }

func (r *run) passed(check, saw string) {
	r.seen.Checks = append(r.seen.Checks, artifact.TestCheck{Name: check, Passed: true, Saw: saw})
}

// Evidence returns what explains a failure: the state of cloud-init and of the service,
// and the journal of the boot. It returns what it got before an error.
func Evidence(ctx context.Context, comm packersdk.Communicator) (string, error) {
	m, err := connect(ctx, comm)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	_, err = m.Ask(ctx, remote.Script{Name: "evidence", AsRoot: true, Bound: 2 * time.Minute, Lines: func(line string) {
		text.WriteString(line + "\n")
	}})
	return text.String(), err
}

// commands runs the user's commands as the login user.
func (r *run) commands(ctx context.Context) (string, error) {
	for _, command := range r.plan.Commands {
		last := ""
		_, err := r.machine.Run(ctx, remote.Script{Name: "command", Args: []string{command}, Bound: commandBound, Lines: func(line string) { last = line }})
		if failed := new(remote.ScriptError); errors.As(err, &failed) && !failed.Lost {
			saw := fmt.Sprintf("%q: %s", command, failed.Reason)
			if last != "" {
				saw += fmt.Sprintf(" (%s)", miner.Printable(last))
			}
			return "", fail(Commands, saw, "")
		}
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d succeeded", len(r.plan.Commands)), nil
}

// commandBound limits a command of the user.
const commandBound = 10 * time.Minute
