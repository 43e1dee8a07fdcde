// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
)

// run runs a command, and checks that its verb lists the exit code.
func run(t *testing.T, name string, args []string, std streams) int {
	t.Helper()
	code := dispatch(t.Context(), append([]string{name}, args...), std)
	v, err := program().find(name)
	if err != nil {
		t.Fatal(err)
	}
	if v.options == nil {
		if sub, err := v.find(args[0]); err == nil {
			v = sub
		}
	}
	if numbers, _ := v.codes(); code != exitUsage && !slices.Contains(numbers, code) {
		t.Errorf("%s %v: got exit code %d, which the verb does not list (%d)", name, args, code, numbers)
	}
	return code
}

// TestCommandLines: all commands parse their command line the same way.
func TestCommandLines(t *testing.T) {
	for _, tt := range []struct {
		args     string
		code     int
		out, err string // beginnings; the other stream is empty
	}{
		{args: "", code: exitUsage, err: "Usage: packer-plugin-ethminer COMMAND"},
		{args: "-h", out: "Usage: packer-plugin-ethminer COMMAND"},
		{args: "--help", out: "Usage: packer-plugin-ethminer COMMAND"},
		{args: "help", out: "Usage: packer-plugin-ethminer COMMAND"},
		{args: "help map get", out: "Usage: packer-plugin-ethminer map get"},
		{args: "help nope", code: exitUsage, err: `packer-plugin-ethminer: got "nope", want completion,`},
		{args: "version", out: "packer-plugin-ethminer 0."},
		{args: "--version", out: "packer-plugin-ethminer 0."},
		{args: "version 1", code: exitUsage, err: `version: unexpected argument "1"`},
		{args: "swep", code: exitUsage, err: "packer-plugin-ethminer: got \"swep\", want completion, map, publish, rehearsal-aws, sweep, test-image or version; did you mean sweep?\nRun `packer-plugin-ethminer -h` for help.\n"},
		{args: "map", code: exitUsage, err: "map: got \"\", want get, set or diff\nRun `packer-plugin-ethminer map -h` for help.\n"},
		{args: "map put T", code: exitUsage, err: `map: got "put", want get, set or diff`},
		{args: "map -json get T", code: exitUsage, err: `map: got "-json", want get, set or diff`},
		{args: "map get", code: exitUsage, err: "map get: no template given\nRun `packer-plugin-ethminer map get -h` for help.\n"},
		{args: "map get T -nope", code: exitUsage, err: "map get: unknown option -nope\n"},
		{args: "map get --mapings X T", code: exitUsage, err: "map get: unknown option -mapings; did you mean -mapping?\n"},
		{args: "map get -manifest X T", code: exitUsage, err: "map get: -manifest is an option of set and diff, not of get\n"},
		{args: "map get -o yaml T", code: exitUsage, err: `map get: invalid value "yaml" for flag -o: want text or json`},
		{args: "map set -stale-regions drop T", code: exitUsage, err: `map set: invalid value "drop" for flag -stale-regions: want keep, fail or remove`},
		{args: "map get -- -no-such-file", code: exitError, err: "map get: -no-such-file: no such file"},
		{args: "sweep --nope", code: exitUsage, err: "sweep: unknown option -nope\nRun `packer-plugin-ethminer sweep -h`"},
		{args: "sweep -to x", code: exitUsage, err: "sweep: unknown option -to\n"},
		{args: "sweep now", code: exitUsage, err: `sweep: unexpected argument "now"`},
		{args: "publish", code: exitUsage, err: `publish: got "", want status,`},
		{args: "publish check -nope", code: exitUsage, err: "publish check: unknown option -nope"},
		{args: "publish status", code: exitUsage, err: "publish status: got 0 arguments, want one"},
		{args: "rehearsal-aws", code: exitUsage, err: `rehearsal-aws: got "", want serve,`},
		{args: "rehearsal-aws stop -nope", code: exitUsage, err: "rehearsal-aws stop: unknown option -nope"},
		{args: "rehearsal-aws stop -leaks", code: exitUsage, err: "rehearsal-aws stop: -leaks is an option of inventory, not of stop"},
		{args: "test-image", code: exitUsage, err: "test-image: no image;"},
		{args: "completion", code: exitUsage, err: `completion: got "", want bash, fish or zsh`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := dispatch(t.Context(), strings.Fields(tt.args), streams{out: &out, err: &errs})
			if code != tt.code || !strings.HasPrefix(out.String(), tt.out) || !strings.HasPrefix(errs.String(), tt.err) ||
				(out.Len() > 0) == (errs.Len() > 0) {
				t.Errorf("exit %d, want %d\nstdout %s\nwant   %s\nstderr %s\nwant   %s", code, tt.code, &out, tt.out, &errs, tt.err)
			}
		})
	}
}

// every calls do for each verb that is not hidden, with the names of the verbs above it.
func every(v verb, path []string, do func(path []string, v verb)) {
	do(path, v)
	for _, sub := range v.verbs {
		if !sub.hidden {
			every(sub, append(path[:len(path):len(path)], sub.name), do)
		}
	}
}

// TestHelp: each verb prints its help, in each spelling, and it names every option, verb
// and exit code.
func TestHelp(t *testing.T) {
	count := 0
	every(program(), nil, func(path []string, v verb) {
		count++
		var first string
		for _, args := range [][]string{append(path[:len(path):len(path)], "-h"), append(path[:len(path):len(path)], "-help"), append(path[:len(path):len(path)], "--help"), append(path[:len(path):len(path)], "help"), append([]string{"help"}, path...)} {
			var out, errs bytes.Buffer
			if code := dispatch(t.Context(), args, streams{out: &out, err: &errs}); code != exitOK || errs.Len() > 0 {
				t.Errorf("%v: exit %d, stderr %s", args, code, &errs)
			}
			if first == "" {
				first = out.String()
			}
			if out.String() != first {
				t.Errorf("%v: got help\n%s\nwant\n%s", args, &out, first)
			}
		}
		want := []string{strings.Join(append([]string{"Usage:", binary}, path...), " ")}
		for _, sub := range v.names() {
			want = append(want, "\n  "+sub+" ")
		}
		if v.options != nil {
			v.shown().VisitAll(func(o *flag.Flag) { want = append(want, "\n  -"+o.Name) })
			numbers, _ := v.codes()
			for _, code := range numbers {
				want = append(want, fmt.Sprintf("\n  %d  ", code))
			}
		}
		for _, part := range want {
			if !strings.Contains(first, part) {
				t.Errorf("%v: %q is missing in the help\n%s", path, part, first)
			}
		}
	})
	if count != len([]string{"program", "completion", "bash", "fish", "zsh", "map", "get", "set", "diff", "publish", "status", "history", "rollback", "run", "check",
		"rehearsal-aws", "serve", "inventory", "stop", "check", "env", "sweep", "test-image", "version"}) {
		t.Errorf("got %d verbs", count)
	}
}

// TestDocsAgree: docs/commands.md has the tables of the code.
func TestDocsAgree(t *testing.T) {
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page) + "\n"
	codes := "| code | meaning |\n|--:|---|\n"
	for _, e := range exitCodes {
		codes += fmt.Sprintf("| %d | %s |\n", e.code, e.meaning)
	}
	special := "| command | code | meaning |\n|---|--:|---|\n"
	listing := "| command | purpose |\n|---|---|\n"
	every(program(), nil, func(path []string, v verb) {
		if v.options == nil {
			return
		}
		name := strings.Join(path, " ")
		listing += fmt.Sprintf("| `%s` | %s |\n", strings.TrimSpace(name+" "+strings.ReplaceAll(v.args, "|", `\|`)), v.summary)
		for _, e := range exitCodes {
			if meaning := v.exits[e.code]; meaning != "" {
				special += fmt.Sprintf("| `%s` | %d | %s |\n", name, e.code, meaning)
			}
		}
	})
	for _, table := range []string{codes, special, listing} {
		if !strings.Contains(text, "\n\n"+table+"\n") {
			t.Errorf("docs/commands.md lacks this table, or has another one:\n%s", table)
		}
	}
}

// TestExitCodes: the table has each number once, and a verb lists only codes of it.
func TestExitCodes(t *testing.T) {
	known := make(map[int]bool)
	for i, e := range exitCodes {
		if e.code != i {
			t.Errorf("row %d of the table: got code %d", i, e.code)
		}
		known[e.code] = true
	}
	every(program(), nil, func(path []string, v verb) {
		for code := range v.exits {
			if !known[code] || code == exitUsage {
				t.Errorf("%v: got code %d", path, code)
			}
		}
	})
}

// TestNamesOfHCL: an option that means the same as an option of ethminer-cfn has its name.
func TestNamesOfHCL(t *testing.T) {
	attributes := make(map[string]bool)
	settings := reflect.TypeFor[cfnsettings.Settings]()
	for i := range settings.NumField() {
		name, _, _ := strings.Cut(settings.Field(i).Tag.Get("mapstructure"), ",")
		attributes[name] = true
	}
	set, _ := mapVerb().find("set")
	set.shown().VisitAll(func(o *flag.Flag) {
		if name := strings.ReplaceAll(o.Name, "-", "_"); name != "o" && !attributes[name] {
			t.Errorf("-%s: ethminer-cfn has no option %s", o.Name, name)
		}
	})
}

// TestLists: each verb that lists something has -o and its short form.
func TestLists(t *testing.T) {
	var lists []string
	every(program(), nil, func(path []string, v verb) {
		if v.options == nil {
			return
		}
		f, _ := v.flagSet()
		if o := f.Lookup("o"); o != nil {
			lists = append(lists, strings.Join(path, " "))
			if o.DefValue != "text" || f.Lookup("json") == nil {
				t.Errorf("%v: got default %s, -json %v", path, o.DefValue, f.Lookup("json"))
			}
		}
	})
	want := []string{"map get", "map set", "map diff", "publish status", "publish history", "publish check", "rehearsal-aws inventory", "sweep", "test-image"}
	if !slices.Equal(lists, want) {
		t.Errorf("got %q, want %q", lists, want)
	}
}
