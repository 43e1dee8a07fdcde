// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package command holds the binary's own subcommands: what a person, a make
// target or the plugin itself runs as `packer-plugin-ethminer NAME ...`.
// Packer's own two, `describe` and `start`, stay with the SDK.
//
// A subcommand is a file of this package and a row in the table below.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sort"
	"syscall"
)

// Exit codes of every subcommand; a subcommand documents what else it returns.
const (
	exitOK    = 0
	exitError = 1 // it could not be done
	exitUsage = 2 // the command line was wrong, nothing was tried
)

// streams are where a subcommand reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	person   bool // somebody reads out and may answer
}

// subcommand is one verb of the binary.
type subcommand struct {
	summary string
	hidden  bool // started by the plugin itself
	run     func(ctx context.Context, args []string, io streams) int
}

// subcommands is the table of verbs; each file of this package has its own.
func subcommands() map[string]subcommand {
	return map[string]subcommand{
		"rehearsal-aws": {summary: "the AWS of a rehearsal: serve, inventory, stop, check, env", run: rehearsalAWS},
		"publish":       {summary: "what was published: status, history, rollback; publish by hand", run: runPublish},
		"sweep":         {summary: "remove what builds have left that died", run: runSweep},
		"map":           {summary: "get, set or diff the region map of a CloudFormation template", run: runMap},
	}
}

// Handles says whether args name a subcommand of ours, or ask for help.
func Handles(args []string) bool {
	if len(args) == 0 {
		return false
	}
	if _, ok := subcommands()[args[0]]; ok {
		return true
	}
	return args[0] == "help" || args[0] == "-h" || args[0] == "--help"
}

// Main runs the subcommand that args name and returns its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	std := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, person: isTerminal(os.Stdin) && isTerminal(os.Stdout)}
	if c, ok := subcommands()[args[0]]; ok {
		return c.run(ctx, args[1:], std)
	}
	help(std.out)
	return exitOK
}

func help(w io.Writer) {
	fmt.Fprintln(w, "packer-plugin-ethminer is a Packer plugin; Packer starts it. By hand it also runs:")
	all := subcommands()
	names := make([]string, 0, len(all))
	for name, c := range all {
		if !c.hidden {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %-14s %s\n", name, all[name].summary)
	}
}
