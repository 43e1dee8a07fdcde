// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
)

const rehearsalUsage = `usage: packer-plugin-ethminer rehearsal-aws VERB [flags]

  serve      be the AWS of a state folder, until stopped
  inventory  print what has been made and not removed, as JSON
  stop       end the server and all its machines
  check      say whether instances that one can log in to can be had here
  env        print shell lines that point the AWS CLI at the server; where none
             runs, lines that let its calls fail

flags:
`

// rehearsalAWS runs `rehearsal-aws VERB`. Beside the usual exit codes, serve
// returns rehearsal.ExitLocked where the state folder has a server already.
func rehearsalAWS(ctx context.Context, args []string, std streams) int {
	verbs := map[string]func(context.Context, rehearsalFlags, streams) error{
		"serve": rehearsalServe, "inventory": rehearsalInventory, "stop": rehearsalStop, "check": rehearsalCheck, "env": rehearsalEnv,
	}
	var f rehearsalFlags
	set := flag.NewFlagSet("rehearsal-aws", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.StateDir, "state", rehearsal.DefaultStateDir, "the `folder` that the server belongs to")
	set.StringVar(&f.Instance, "instance", "", "what an instance is: sandbox (needs root), or none (serve; default sandbox)")
	set.StringVar(&f.Latency, "latency", "fast", "how long things take: instant, fast, or a list such as running=9s,image=31s,copy=47s (serve)")
	set.StringVar(&f.Policy, "policy", "", "the `file` of the IAM policy that the caller has (serve; default: everything is allowed)")
	set.IntVar(&f.Owner, "owner", 0, "end with the process of this `number` (serve; default: live until stopped)")
	set.BoolVar(&f.leaks, "leaks", false, "print only what is no available image, snapshot of one, bucket or parameter, and fail if there is any (inventory)")
	usage := func(w io.Writer) {
		_, _ = fmt.Fprint(w, rehearsalUsage)
		set.SetOutput(w)
		set.PrintDefaults()
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(std.out)
		return exitOK
	}
	verb, ok := verbs[args[0]]
	if !ok {
		_, _ = fmt.Fprintf(std.err, "rehearsal-aws: %q is not a verb\n", args[0])
		usage(std.err)
		return exitUsage
	}
	err := set.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(std.out)
		return exitOK
	case err == nil && set.NArg() > 0:
		err = fmt.Errorf("%q is one argument too many", set.Arg(0))
	case err == nil:
		err = f.Validate()
	}
	if err != nil {
		_, _ = fmt.Fprintf(std.err, "rehearsal-aws %s: %v\n", args[0], err)
		return exitUsage
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

// rehearsalServe ends on Ctrl-C only where it has no owner. Ctrl-C reaches the
// whole process group, and the clean-up of an owner's build needs the server.
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
		return fmt.Errorf("%d resources are left that are no available image, snapshot of one, bucket or parameter", left)
	}
	return nil
}

// rehearsalStop is done as well where nothing runs.
func rehearsalStop(ctx context.Context, f rehearsalFlags, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := rehearsal.Find(ctx, f.StateDir)
	if errors.Is(err, rehearsal.ErrNone) {
		_, err = fmt.Fprintf(std.err, "no rehearsal runs for the state folder %s: there is nothing to stop\n", f.StateDir)
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
	_, err := fmt.Fprintln(std.out, "a rehearsal's instances can be had here")
	return err
}

// nowhere answers no call. It stands for a rehearsal that does not run, so that
// `eval "$(... env)"` never leaves a shell pointing at a real account.
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
			line = "export " + name + "='" + value + "'"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
