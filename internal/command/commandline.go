// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
)

// call is one run of a verb.
type call struct {
	streams
	path  string        // the verb with its command, such as "map get"
	flags *flag.FlagSet // parsed
	words []string      // that are not options
}

// misused prints why the command line is invalid, and returns exitUsage.
func (c *call) misused(err error) int {
	fmt.Fprintf(c.err, "%s: %v\nRun `%s -h` for help.\n", c.path, err, full(c.path))
	return exitUsage
}

// fail prints an error and returns the code.
func (c *call) fail(code int, err error) int {
	fmt.Fprintf(c.err, "%s: %v\n", c.path, err)
	return code
}

// printJSON prints a result, and returns the code, or exitError on an error.
func (c *call) printJSON(code int, v any) int {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return c.fail(exitError, err)
	}
	return code
}

// agreed asks for confirmation if the session is interactive.
func (c *call) agreed(question string) bool {
	if !c.person {
		return false
	}
	fmt.Fprint(c.err, question+" [y/N] ")
	answer, _ := bufio.NewReader(c.in).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// full returns a path with the name of the program.
func full(path string) string {
	if path == binary {
		return binary
	}
	return binary + " " + path
}

// dispatch runs the verb that args begin with.
func dispatch(ctx context.Context, args []string, std streams) int {
	v := program()
	c := &call{streams: std, path: v.name}
	if len(args) == 0 {
		v.printHelp(std.err, c.path)
		return exitUsage
	}
	switch args[0] {
	case "help": // help map get
		args = append(args[1:len(args):len(args)], "-h")
	case "-version", "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	for parent := (verb{}); ; {
		switch {
		case v.raw != nil:
			return v.raw(ctx, args, std)
		case len(args) > 0 && isHelp(args[0]):
			v.printHelp(std.out, c.path)
			return exitOK
		case v.options != nil:
			return v.run(ctx, c, args, parent)
		}
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		next, err := v.find(name)
		if err != nil {
			return c.misused(err)
		}
		parent, v, args = v, next, args[1:]
		if c.path == binary {
			c.path = v.name
		} else {
			c.path += " " + v.name
		}
	}
}

func isHelp(word string) bool {
	return slices.Contains([]string{"help", "-h", "-help", "--help"}, word)
}

// find returns a verb of a command.
func (v verb) find(name string) (verb, error) {
	for _, sub := range v.verbs {
		if sub.name == name {
			return sub, nil
		}
	}
	names := v.names()
	want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	if near := didyoumean.Nearest(name, names); near != "" && name != "" {
		want += "; did you mean " + near + "?"
	}
	return verb{}, fmt.Errorf("got %q, want %s", name, want)
}

// names returns the names of the verbs that are not hidden.
func (v verb) names() (names []string) {
	for _, sub := range v.verbs {
		if !sub.hidden {
			names = append(names, sub.name)
		}
	}
	return names
}

// flagSet returns the options of a verb, and its action.
func (v verb) flagSet() (*flag.FlagSet, action) {
	f := flag.NewFlagSet(v.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f, v.options(f)
}

// run parses the options, which are anywhere after the verb, and runs the verb.
func (v verb) run(ctx context.Context, c *call, args []string, parent verb) int {
	f, act := v.flagSet()
	c.flags = f
	for {
		before := args
		err := f.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			v.printHelp(c.out, c.path)
			return exitOK
		case err != nil:
			return c.misused(v.explain(err, parent))
		}
		args = f.Args()
		if parsed := len(before) - len(args); parsed > 0 && before[parsed-1] == "--" {
			c.words, args = append(c.words, args...), nil
		}
		if len(args) == 0 {
			return act(ctx, c)
		}
		c.words, args = append(c.words, args[0]), args[1:]
	}
}

// explain names the verbs that have an unknown option, or a similar option.
func (v verb) explain(err error, parent verb) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err
	}
	var others []string
	for _, sub := range parent.verbs {
		if sub.options != nil && sub.name != v.name {
			if f, _ := sub.flagSet(); parent.name != binary && f.Lookup(name) != nil {
				others = append(others, sub.name)
			}
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("-%s is an option of %s, not of %s", name, strings.Join(others, " and "), v.name)
	}
	var known []string
	f, _ := v.flagSet()
	f.VisitAll(func(o *flag.Flag) {
		if len(o.Name) > 1 && o.Usage != "" {
			known = append(known, o.Name)
		}
	})
	if near := didyoumean.Nearest(name, known); near != "" {
		return fmt.Errorf("unknown option -%s; did you mean -%s?", name, near)
	}
	return fmt.Errorf("unknown option -%s", name)
}

// shown returns the options of a verb without the other names of options.
func (v verb) shown() *flag.FlagSet {
	f, _ := v.flagSet()
	shown := flag.NewFlagSet(v.name, flag.ContinueOnError)
	f.VisitAll(func(o *flag.Flag) {
		if o.Usage != "" {
			shown.Var(o.Value, o.Name, o.Usage)
		}
	})
	return shown
}

func (v verb) printHelp(w io.Writer, path string) {
	if v.options == nil {
		what := "verb"
		if path == binary {
			what = "command"
		}
		fmt.Fprintf(w, "Usage: %s %s ...\n\n%s\n%ss:\n", full(path), strings.ToUpper(what), v.text(), upperFirst(what))
		width := 0
		for _, name := range v.names() {
			width = max(width, len(name))
		}
		for _, sub := range v.verbs {
			if !sub.hidden {
				fmt.Fprintf(w, "  %-*s  %s\n", width, sub.name, sub.summary)
			}
		}
		fmt.Fprintf(w, "\nRun `%s %s -h` for the help of a %s.\n", full(path), strings.ToUpper(what), what)
		return
	}
	f, args := v.shown(), ""
	f.VisitAll(func(*flag.Flag) { args = " [options]" })
	if v.args != "" {
		args += " " + v.args
	}
	fmt.Fprintf(w, "Usage: %s%s\n\n%s", full(path), args, v.text())
	if strings.Contains(args, "[options]") {
		fmt.Fprintln(w, "\nOptions (-name or --name, before or after the arguments):")
		f.SetOutput(w)
		f.PrintDefaults()
	}
	fmt.Fprintln(w, "\nExit codes:")
	numbers, meanings := v.codes()
	for i, code := range numbers {
		fmt.Fprintf(w, "  %d  %s\n", code, meanings[i])
	}
}

// text returns the summary as a sentence, and the rest of the help.
func (v verb) text() string {
	text := upperFirst(v.summary) + ".\n"
	if v.about != "" {
		text += "\n" + v.about
	}
	return text
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
