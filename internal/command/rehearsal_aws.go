// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

const rehearsalUsage = `packer-plugin-ethminer rehearsal-aws runs and inspects the simulated AWS of a rehearsal.

  rehearsal-aws VERB [options]

  serve      run the simulated AWS of a state folder until stopped
  inventory  print the existing resources as JSON
  stop       stop the server and all its instances
  check      check whether instances with SSH are supported on this host
  env        print shell commands that point the AWS CLI at the server, or that
             make its calls fail if no server is running

Options:
`

// rehearsalAWS runs `rehearsal-aws VERB`. In addition to the usual exit codes, serve
// returns rehearsal.ExitLocked if the state folder already has a server.
func rehearsalAWS(ctx context.Context, args []string, std streams) int {
	verbs := map[string]func(context.Context, rehearsalFlags, streams) error{
		"serve": rehearsalServe, "inventory": rehearsalInventory, "stop": rehearsalStop, "check": rehearsalCheck, "env": rehearsalEnv,
	}
	var f rehearsalFlags
	set := newCommandLine("rehearsal-aws", rehearsalUsage)
	set.StringVar(&f.StateDir, "state", rehearsal.DefaultStateDir, "the state `folder` of the server")
	set.StringVar(&f.Instance, "instance", "", "how instances are simulated: sandbox (requires root), or none (serve; default sandbox)")
	set.StringVar(&f.Base, "base", "", "what instances are made from: host (an overlay of this system), debian:12, debian:13, ubuntu:22.04 or ubuntu:24.04 (serve; default host)")
	set.StringVar(&f.Latency, "latency", "fast", "how long operations take: instant, fast, or a list such as running=9s,image=31s,copy=47s (serve)")
	set.StringVar(&f.Policy, "policy", "", "the `file` with the caller's IAM policy (serve; default: everything is allowed)")
	set.IntVar(&f.Owner, "owner", 0, "stop when the process with this `number` ends (serve; default: run until stopped)")
	set.BoolVar(&f.leaks, "leaks", false, "print only resources other than available images, their snapshots, buckets and parameters, and fail if there are any (inventory)")
	words, code, done := set.read(args, std)
	if done {
		return code
	}
	var err error
	verb := verbs[first(words)]
	switch {
	case verb == nil:
		err = fmt.Errorf("got %q, want serve, inventory, stop, check or env", first(words))
	case len(words) > 1:
		err = fmt.Errorf("unexpected argument %q", words[1])
	default:
		err = f.Validate()
	}
	if err != nil {
		return set.misused(std.err, err)
	}
	switch err := verb(ctx, f, std); {
	case err == nil:
		return exitOK
	case errors.Is(err, rehearsal.ErrRunning):
		_, _ = fmt.Fprintln(std.err, err)
		return rehearsal.ExitLocked
	default:
		_, _ = fmt.Fprintln(std.err, err)
		return exitError
	}
}

type rehearsalFlags struct {
	rehearsal.Options
	leaks bool
}

// rehearsalServe ignores Ctrl-C if it has an owner: Ctrl-C reaches the whole process
// group, and the clean-up of the owner's build needs the server.
func rehearsalServe(ctx context.Context, f rehearsalFlags, std streams) error {
	if f.Owner != 0 {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return rehearsal.Serve(ctx, f.Options, std.err)
}

func rehearsalInventory(ctx context.Context, f rehearsalFlags, std streams) error {
	s, err := rehearsal.Find(ctx, f.StateDir)
	if err != nil {
		return err
	}
	all, err := s.Inventory(ctx)
	if err != nil {
		return err
	}
	left := 0
	if f.leaks {
		for region, list := range all {
			var leaked []ec2.Resource
			for _, r := range list {
				if r.Leaked() {
					leaked = append(leaked, r)
				}
			}
			left += len(leaked)
			if all[region] = leaked; len(leaked) == 0 {
				delete(all, region)
			}
		}
	}
	e := json.NewEncoder(std.out)
	e.SetIndent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%d resources are left other than available images, their snapshots, buckets and parameters", left)
	}
	return nil
}

// rehearsalStop succeeds even if no server is running.
func rehearsalStop(ctx context.Context, f rehearsalFlags, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := rehearsal.Find(ctx, f.StateDir)
	if errors.Is(err, rehearsal.ErrNone) {
		_, err = fmt.Fprintf(std.err, "no rehearsal is running for the state folder %s: nothing to stop\n", f.StateDir)
		return err
	}
	if err != nil {
		return err
	}
	return s.Stop(ctx, f.StateDir)
}

func rehearsalCheck(_ context.Context, _ rehearsalFlags, std streams) error {
	if err := instance.Check(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(std.out, "rehearsal instances are supported on this host")
	return err
}

// nowhere is an endpoint that does not respond. It is used if no rehearsal is running,
// so that `eval "$(... env)"` never leaves a shell with a real account.
var nowhere = &rehearsal.Session{Endpoint: "http://127.0.0.1:1", AccessKey: "none", SecretKey: "none"}

func rehearsalEnv(ctx context.Context, f rehearsalFlags, std streams) error {
	s, err := rehearsal.Find(ctx, f.StateDir)
	if err != nil {
		return errors.Join(err, printEnv(nowhere, std.out))
	}
	return printEnv(s, std.out)
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
