// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// rehearsalVerb returns the command rehearsal-aws.
func rehearsalVerb() verb {
	return verb{
		name: "rehearsal-aws", summary: "run and inspect the simulated AWS of a rehearsal", verbs: []verb{
			{
				name: "serve", summary: "run the simulated AWS of a state folder until stopped", options: rehearsalServe,
				exits: map[int]string{exitLocked: "the state folder already has a server"},
			},
			{
				name: "inventory", summary: "list the existing resources", options: rehearsalInventory,
				exits: map[int]string{exitProblem: "-leaks: there are resources that a build should have removed"},
			},
			{name: "stop", summary: "stop the server and all its instances, if it is running", options: rehearsalStop},
			{
				name: "check", summary: "check whether instances with SSH are supported on this host", options: rehearsalCheck,
				exits: map[int]string{exitOK: "they are supported", exitProblem: "they are not supported"},
			},
			{
				name: "env", summary: "print shell commands that point the AWS CLI at the server", options: rehearsalEnv,
				about: "Without a running server, the printed commands make the calls of the AWS CLI fail.\n",
			},
		},
	}
}

// stateOption declares the option of the verbs that use a server.
func stateOption(f *flag.FlagSet, folder *string) {
	f.StringVar(folder, "state", rehearsal.DefaultStateDir, "the state `folder` of the server")
}

// withoutArguments returns an action that refuses arguments, and prints the error of run.
func withoutArguments(run func(ctx context.Context, c *call) error) action {
	return func(ctx context.Context, c *call) int {
		if len(c.words) > 0 {
			return c.misused(fmt.Errorf("unexpected argument %q", c.words[0]))
		}
		switch err := run(ctx, c); {
		case err == nil:
			return exitOK
		case errors.Is(err, rehearsal.ErrRunning):
			return c.fail(exitLocked, err)
		case errors.Is(err, errProblem):
			return exitProblem
		default:
			return c.fail(exitError, err)
		}
	}
}

// errProblem is returned by a check that has reported a problem.
var errProblem = errors.New("problem found")

// rehearsalServe ignores Ctrl-C if it has an owner: Ctrl-C reaches the whole process
// group, and the clean-up of the owner's build needs the server.
func rehearsalServe(f *flag.FlagSet) action {
	o := new(rehearsal.Options)
	stateOption(f, &o.StateDir)
	f.StringVar(&o.Instance, "instance", "", "the `kind` of instances: sandbox (Linux systems, requires root) or none (default sandbox)")
	f.StringVar(&o.Base, "base", "", "the `system` that instances are made from: host (an overlay of this one), debian:12, debian:13, ubuntu:22.04 or ubuntu:24.04 (default host)")
	f.StringVar(&o.Latency, "latency", "fast", "the `durations` of operations: instant, fast, or a list such as running=9s,image=31s,copy=47s")
	f.StringVar(&o.Policy, "policy", "", "the `file` with the caller's IAM policy (default: everything is allowed)")
	f.IntVar(&o.Owner, "owner", 0, "stop when the process with this `number` ends (default: run until stopped)")
	serve := withoutArguments(func(ctx context.Context, c *call) error {
		if o.Owner != 0 {
			ctx = context.WithoutCancel(ctx)
		}
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return rehearsal.Serve(ctx, *o, c.err)
	})
	return func(ctx context.Context, c *call) int {
		if err := o.Validate(); err != nil {
			return c.misused(err)
		}
		return serve(ctx, c)
	}
}

func rehearsalInventory(f *flag.FlagSet) action {
	var (
		state string
		leaks bool
		json  format
	)
	stateOption(f, &state)
	f.BoolVar(&leaks, "leaks", false, "list only resources other than available images, their snapshots, buckets and parameters, and return 3 if there are any")
	json.declare(f)
	return withoutArguments(func(ctx context.Context, c *call) error {
		s, err := rehearsal.Find(ctx, state)
		if err != nil {
			return err
		}
		all, err := s.Inventory(ctx)
		if err != nil {
			return err
		}
		if leaks {
			for region, resources := range all {
				all[region] = slices.DeleteFunc(resources, func(r ec2.Resource) bool { return !r.Leaked() })
				if len(all[region]) == 0 {
					delete(all, region)
				}
			}
		}
		if json {
			c.printJSON(exitOK, all)
		} else {
			printInventory(c.out, all)
		}
		if leaks && len(all) > 0 {
			fmt.Fprintln(c.err, "resources are left other than available images, their snapshots, buckets and parameters")
			return errProblem
		}
		return nil
	})
}

// printInventory prints a table of the resources.
func printInventory(out io.Writer, all map[string][]ec2.Resource) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REGION\tKIND\tID\tSTATE\tNAME")
	for _, region := range slices.Sorted(maps.Keys(all)) {
		for _, r := range all[region] {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", region, r.Kind, r.ID, r.State, r.Name)
		}
	}
	_ = w.Flush()
}

// rehearsalStop succeeds even if no server is running.
func rehearsalStop(f *flag.FlagSet) action {
	var state string
	stateOption(f, &state)
	return withoutArguments(func(ctx context.Context, c *call) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		s, err := rehearsal.Find(ctx, state)
		if errors.Is(err, rehearsal.ErrNone) {
			_, err = fmt.Fprintf(c.err, "no rehearsal is running for the state folder %s: nothing to stop\n", state)
			return err
		}
		if err != nil {
			return err
		}
		return s.Stop(ctx, state)
	})
}

func rehearsalCheck(*flag.FlagSet) action {
	return withoutArguments(func(_ context.Context, c *call) error {
		if err := instance.Check(); err != nil {
			fmt.Fprintln(c.out, err)
			return errProblem
		}
		_, err := fmt.Fprintln(c.out, "rehearsal instances are supported on this host")
		return err
	})
}

// nowhere is an endpoint that does not respond. It is used if no rehearsal is running,
// so that `eval "$(... env)"` never leaves a shell with a real account.
var nowhere = &rehearsal.Session{Endpoint: "http://127.0.0.1:1", AccessKey: "none", SecretKey: "none"}

func rehearsalEnv(f *flag.FlagSet) action {
	var state string
	stateOption(f, &state)
	return withoutArguments(func(ctx context.Context, c *call) error {
		s, err := rehearsal.Find(ctx, state)
		if err != nil {
			return errors.Join(err, printEnv(nowhere, c.out))
		}
		return printEnv(s, c.out)
	})
}

func printEnv(s *rehearsal.Session, w io.Writer) error {
	for _, line := range s.Environ() {
		name, value, _ := strings.Cut(line, "=")
		if value == "" {
			line = "unset " + name
		} else {
			line = "export " + name + "=" + shellquote.Quote(value)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
