// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// commandLine holds the options and the help of a subcommand. All subcommands read
// their command line alike: options are anywhere, as -name or --name; -h, --help and
// help print the help to stdout and return 0; anything invalid is one line on stderr
// and returns 2.
type commandLine struct {
	*flag.FlagSet
	help string // the text before the list of options
}

func newCommandLine(name, help string) commandLine {
	c := commandLine{flag.NewFlagSet(name, flag.ContinueOnError), help}
	c.SetOutput(io.Discard)
	c.Usage = func() {}
	return c
}

// read parses args and returns the words that are not options. If done is true, the
// subcommand returns the code at once.
func (c commandLine) read(args []string, std streams) (words []string, code int, done bool) {
	if len(args) > 0 && args[0] == "help" {
		c.printHelp(std.out)
		return nil, exitOK, true
	}
	for {
		err := c.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			c.printHelp(std.out)
			return nil, exitOK, true
		case err != nil:
			return nil, c.misused(std.err, err), true
		case c.NArg() == 0:
			return words, exitOK, false
		}
		words, args = append(words, c.Arg(0)), c.Args()[1:]
	}
}

// misused prints why the command line is invalid, and returns exitUsage.
func (c commandLine) misused(w io.Writer, err error) int {
	fmt.Fprintf(w, "%s: %v\nRun `packer-plugin-ethminer %s -h` for help.\n", c.Name(), err, c.Name())
	return exitUsage
}

func (c commandLine) printHelp(w io.Writer) {
	fmt.Fprint(w, c.help)
	c.SetOutput(w)
	c.PrintDefaults()
	c.SetOutput(io.Discard)
}

// first returns the verb of a command line; empty if there is none.
func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
