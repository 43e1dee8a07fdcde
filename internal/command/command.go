// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package command implements the binary's own commands, which users, make targets or the
// plugin itself run as `packer-plugin-ethminer NAME ...`. Packer's own commands,
// `describe` and `start`, are in the SDK.
//
// The verbs are one tree (program). The parser, the help, the shell completion and the
// test of docs/commands.md use the same tree. Each command has a file in this package.
package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// streams are the input and output of a command: results are on out, everything else
// (progress, notes, prompts and errors) is on err.
type streams struct {
	in       io.Reader
	out, err io.Writer
	person   bool // interactive: prompts are possible
}

// binary is the name of the program.
const binary = "packer-plugin-ethminer"

// verb is a command, or a verb of a command. It has either verbs of its own, or options
// and an action.
type verb struct {
	name    string
	args    string // what follows the options
	summary string // one line, without a full stop
	about   string // the rest of the help
	exits   map[int]string
	hidden  bool // run by the plugin itself

	verbs []verb
	// options declares the options and returns what the verb does.
	options func(f *flag.FlagSet) action
	// raw is the action of a verb without options and help.
	raw func(ctx context.Context, args []string, std streams) int
}

// action runs a verb whose command line was parsed, and returns the exit code.
type action func(ctx context.Context, c *call) int

// program returns the tree of verbs.
func program() verb {
	return verb{
		name:    binary,
		summary: "This program is a Packer plugin, which Packer starts. It also has commands of its own",
		verbs: []verb{
			completionVerb(),
			mapVerb(),
			publishVerb(),
			rehearsalVerb(),
			{name: "rehearsal-session", hidden: true, raw: rehearsalSession},
			sweepVerb(),
			testImageVerb(),
			{name: "version", summary: "print the version", options: printVersion},
		},
	}
}

func printVersion(*flag.FlagSet) action {
	return func(_ context.Context, c *call) int {
		if len(c.words) > 0 {
			return c.misused(fmt.Errorf("unexpected argument %q", c.words[0]))
		}
		fmt.Fprintln(c.out, binary, version.PluginVersion.FormattedVersion())
		return exitOK
	}
}

// Handles reports whether Main handles args. The SDK handles the commands that Packer
// itself runs.
func Handles(args []string) bool {
	if len(args) == 0 {
		return true
	}
	return args[0] != "describe" && args[0] != "start"
}

// Main runs the command in args and returns its exit code.
func Main(args []string) int {
	log.SetOutput(io.Discard) // a terminal shows only what matters
	if os.Getenv("PACKER_LOG") != "" {
		log.SetOutput(redact.Writer{To: os.Stderr})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	std := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, person: isTerminal(os.Stdin) && isTerminal(os.Stdout) && isTerminal(os.Stderr)}
	return dispatch(ctx, args, std)
}
