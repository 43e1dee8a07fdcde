// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// journalctl prints the output of services since this boot. It supports only the
// options that scripts use to report a failure.
func journalctl(args []string) int {
	lines := -1
	var units []string
	refused := func(what string) int {
		fmt.Fprintf(os.Stderr, "rehearsal journalctl cannot use %s: only -u UNIT and -n LINES are supported\n", what)
		return 1
	}
	for rest := args[1:]; len(rest) > 0; {
		a := rest[0]
		rest = rest[1:]
		name, value, has := strings.Cut(a, "=")
		if !has && len(a) > 2 && (strings.HasPrefix(a, "-u") || strings.HasPrefix(a, "-n")) {
			name, value, has = a[:2], a[2:], true
		}
		switch name {
		case "-u", "--unit", "-n", "--lines", "-o", "--output":
			if !has {
				if len(rest) == 0 {
					return refused(a)
				}
				value, rest = rest[0], rest[1:]
			}
		}
		switch name {
		case "-u", "--unit":
			if filepath.Ext(value) == "" {
				value += ".service"
			}
			units = append(units, value)
		case "-n", "--lines":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return refused(a)
			}
			lines = n
		case "-o", "--output", "--no-pager", "-q", "--quiet", "-b", "--boot", "-e", "-x", "-xe", "-xeu", "--no-hostname", "-a", "-l", "--full":
			if name == "-xeu" {
				return refused(a)
			}
		default:
			return refused(a)
		}
	}
	if units == nil {
		logs, _ := filepath.Glob(filepath.Join(logDir, "*.log")) // fails only for a malformed pattern
		for _, l := range logs {
			units = append(units, strings.TrimSuffix(filepath.Base(l), ".log"))
		}
	}
	for _, u := range units {
		name := filepath.Join(logDir, filepath.Base(u)+".log")
		content, err := os.ReadFile(name)
		switch {
		case os.IsNotExist(err):
			fmt.Println("-- No entries --")
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
			return 1
		case lines >= 0:
			fmt.Print(tail(name, lines))
		default:
			_, _ = os.Stdout.Write(content) // the reader may have exited
		}
	}
	return 0
}
