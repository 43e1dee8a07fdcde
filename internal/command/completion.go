// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

const completionAbout = `To load it in each new shell, add one of these lines to its start-up file:

  bash  source <(packer-plugin-ethminer completion bash)
  zsh   source <(packer-plugin-ethminer completion zsh)     (after compinit)
  fish  packer-plugin-ethminer completion fish | source
`

// completionVerb returns the command completion.
func completionVerb() verb {
	shell := func(name string, print func(io.Writer, []completion)) verb {
		return verb{name: name, summary: "print the completion script for " + name, options: func(*flag.FlagSet) action {
			return func(_ context.Context, c *call) int {
				if len(c.words) > 0 {
					return c.misused(fmt.Errorf("unexpected argument %q", c.words[0]))
				}
				print(c.out, completions(program(), ""))
				return exitOK
			}
		}}
	}
	return verb{name: "completion", summary: "print a script that completes command lines of this program in a shell", about: completionAbout, verbs: []verb{
		shell("bash", printBash), shell("fish", printFish), shell("zsh", printZsh),
	}}
}

// completion is what can follow a command line.
type completion struct {
	path    string // the words before it, such as "map get"
	verbs   []verb
	options []completionOption
}

type completionOption struct {
	name, summary string
	values        []string // if the set is fixed
	takes         bool     // a value
}

// completions returns the completions of a verb and of the verbs below it.
func completions(v verb, path string) []completion {
	c := completion{path: path}
	var below []completion
	for _, sub := range v.verbs {
		if sub.hidden {
			continue
		}
		c.verbs = append(c.verbs, sub)
		below = append(below, completions(sub, strings.TrimSpace(path+" "+sub.name))...)
	}
	if v.options != nil {
		v.shown().VisitAll(func(o *flag.Flag) {
			_, summary := flag.UnquoteUsage(o)
			summary, _, _ = strings.Cut(summary, "\n")
			b, isBool := o.Value.(interface{ IsBoolFlag() bool })
			c.options = append(c.options, completionOption{o.Name, summary, values(o), !isBool || !b.IsBoolFlag()})
		})
	}
	c.options = append(c.options, completionOption{name: "help", summary: "print the help"})
	return append([]completion{c}, below...)
}

// singleQuoted returns text in single quotes, for a shell in which only these need an
// escape.
func singleQuoted(text, escaped string) string {
	return "'" + strings.ReplaceAll(text, "'", escaped) + "'"
}

// verbNames returns the names of the verbs, separated by spaces.
func (c completion) verbNames() string {
	names := make([]string, len(c.verbs))
	for i, v := range c.verbs {
		names[i] = v.name
	}
	return strings.Join(names, " ")
}

// optionNames returns the options with these dashes, separated by spaces.
func (c completion) optionNames(dashes string) string {
	names := make([]string, len(c.options))
	for i, o := range c.options {
		names[i] = dashes + o.name
	}
	return strings.Join(names, " ")
}

// printBash prints a case for each path; the words before the cursor choose it. Where
// nothing matches, bash completes file names.
func printBash(w io.Writer, all []completion) {
	fmt.Fprint(w, `# bash completion for packer-plugin-ethminer
_packer_plugin_ethminer() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=
  local before="${COMP_WORDS[*]:1:COMP_CWORD-1} "
  case $before in
`)
	for i := len(all) - 1; i >= 0; i-- { // longer paths first
		c := all[i]
		pattern := singleQuoted(c.path+" ", "")
		if len(c.verbs) == 0 {
			pattern += "*"
		}
		fmt.Fprintf(w, "    %s)\n      words='%s'\n", pattern, c.verbNames())
		fmt.Fprintf(w, "      [[ $current == -* ]] && words='%s'\n", c.optionNames("-"))
		fmt.Fprintf(w, "      [[ $current == --* ]] && words='%s'\n", c.optionNames("--"))
		for _, o := range c.options {
			if len(o.values) > 0 {
				fmt.Fprintf(w, "      [[ $previous == -%s || $previous == --%s ]] && words='%s'\n", o.name, o.name, strings.Join(o.values, " "))
			}
		}
		fmt.Fprintln(w, "      ;;")
	}
	fmt.Fprint(w, `  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _packer_plugin_ethminer packer-plugin-ethminer
`)
}

// printZsh prints the same cases, with descriptions.
func printZsh(w io.Writer, all []completion) {
	fmt.Fprint(w, `#compdef packer-plugin-ethminer
_packer_plugin_ethminer() {
  local previous=${words[CURRENT-1]} dashes=-
  local -a found
  [[ ${words[CURRENT]} == --* ]] && dashes=--
  case "${words[2,CURRENT-1]} " in
`)
	item := func(prefix, name, summary string) string {
		return prefix + singleQuoted(name+":"+strings.ReplaceAll(summary, ":", `\:`), `'\''`)
	}
	for i := len(all) - 1; i >= 0; i-- {
		c := all[i]
		pattern := singleQuoted(c.path+" ", "")
		if len(c.verbs) == 0 {
			pattern += "*"
		}
		fmt.Fprintf(w, "    %s)\n      found=(", pattern)
		for _, v := range c.verbs {
			fmt.Fprint(w, "\n        "+item("", v.name, v.summary))
		}
		fmt.Fprint(w, "\n      )\n      if [[ ${words[CURRENT]} == -* ]]; then found=(")
		for _, o := range c.options {
			fmt.Fprint(w, "\n        "+item(`"$dashes"`, o.name, o.summary))
		}
		fmt.Fprintln(w, "\n      ); fi")
		for _, o := range c.options {
			if len(o.values) > 0 {
				fmt.Fprintf(w, "      [[ $previous == -%s || $previous == --%s ]] && found=(%s)\n", o.name, o.name, strings.Join(o.values, " "))
			}
		}
		fmt.Fprintln(w, "      ;;")
	}
	fmt.Fprint(w, `  esac
  if (( $#found )); then _describe 'packer-plugin-ethminer' found; else _files; fi
}
compdef _packer_plugin_ethminer packer-plugin-ethminer
[[ ${funcstack[1]} == _packer_plugin_ethminer ]] && _packer_plugin_ethminer "$@" # autoloaded
return 0
`)
}

// printFish prints a line for each verb and option. fish completes -name from -o, and
// --name from -l.
func printFish(w io.Writer, all []completion) {
	fmt.Fprint(w, `# fish completion for packer-plugin-ethminer
# __packer_plugin_ethminer_at EXACT PATH: the words before the cursor are PATH, or, unless
# EXACT, begin with it.
function __packer_plugin_ethminer_at
    set -l before (commandline -opc)
    set -e before[1]
    set -l exact $argv[1]
    set -e argv[1]
    test "$exact" = yes -a (count $before) -ne (count $argv); and return 1
    for i in (seq (count $argv))
        test "$before[$i]" = "$argv[$i]"; or return 1
    end
end
`)
	for _, c := range all {
		at := func(exact string) string {
			return "complete -c packer-plugin-ethminer -n '" + strings.TrimSpace("__packer_plugin_ethminer_at "+exact+" "+c.path) + "'"
		}
		exact := "no"
		for _, v := range c.verbs {
			exact = "yes"
			fmt.Fprintf(w, "%s -f -a %s -d %s\n", at(exact), v.name, singleQuoted(v.summary, `\'`))
		}
		for _, o := range c.options {
			line := at(exact)
			if len(o.name) == 1 {
				line += " -s " + o.name
			} else {
				line += " -o " + o.name
			}
			line += " -l " + o.name
			if len(o.values) > 0 {
				line += " -x -a '" + strings.Join(o.values, " ") + "'"
			} else if o.takes {
				line += " -r"
			}
			fmt.Fprintf(w, "%s -d %s\n", line, singleQuoted(o.summary, `\'`))
		}
	}
}
