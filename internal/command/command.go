// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package command implements the binary's own subcommands, which users, make targets
// or the plugin itself run as `packer-plugin-ethminer NAME ...`. Packer's own
// subcommands, `describe` and `start`, are in the SDK.
//
// Each subcommand has a file in this package and a row in the table below.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sort"
	"syscall"

	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// Exit codes of every subcommand; a subcommand documents its additional codes.
const (
	exitOK    = 0
	exitError = 1 // the command failed
	exitUsage = 2 // invalid command line, nothing was done
)

// streams are the input and output of a subcommand.
type streams struct {
	in       io.Reader
	out, err io.Writer
	person   bool // interactive: prompts are possible
}

// subcommand is one verb of the binary.
type subcommand struct {
	summary string
	hidden  bool // run by the plugin itself
	run     func(ctx context.Context, args []string, io streams) int
}

// subcommands returns the table of verbs.
func subcommands() map[string]subcommand {
	return map[string]subcommand{
		"rehearsal-aws":     {summary: "run and inspect the simulated AWS of a rehearsal: serve, inventory, stop, check, env", run: rehearsalAWS},
		"rehearsal-session": {summary: "open a tunnel to a rehearsal instance, in place of session-manager-plugin", hidden: true, run: rehearsalSession},
		"publish":           {summary: "manage published templates: status, history, rollback, run, check", run: runPublish},
		"sweep":             {summary: "remove the resources of builds that died", run: runSweep},
		"test-image":        {summary: "launch an instance of an image, and check that it mines", run: runTestImage},
		"map":               {summary: "get, set or diff the region map of a CloudFormation template", run: runMap},
	}
}

// Handles reports whether Main handles args. The SDK handles the subcommands that
// Packer itself runs.
func Handles(args []string) bool {
	if len(args) == 0 {
		return true
	}
	return args[0] != "describe" && args[0] != "start"
}

// Main runs the subcommand in args and returns its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	std := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, person: isTerminal(os.Stdin) && isTerminal(os.Stdout)}
	return dispatch(ctx, args, std)
}

func dispatch(ctx context.Context, args []string, std streams) int {
	if len(args) == 0 {
		help(std.err)
		return exitUsage
	}
	if c, ok := subcommands()[args[0]]; ok {
		return c.run(ctx, args[1:], std)
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		help(std.out)
		return exitOK
	case "version", "-version", "--version":
		fmt.Fprintln(std.out, "packer-plugin-ethminer", version.PluginVersion.FormattedVersion())
		return exitOK
	}
	fmt.Fprintf(std.err, "packer-plugin-ethminer: unknown command %q\nRun `packer-plugin-ethminer help` for the commands.\n", args[0])
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprintln(w, "packer-plugin-ethminer is a Packer plugin, which Packer starts. It also has these commands:")
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
	fmt.Fprintf(w, "  %-14s %s\n", "version", "print the version")
}
