// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"fmt"
	"strconv"
	"strings"
)

// path is the PATH of a machine's programs.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// execLine is a command of a unit file.
type execLine struct {
	argv      []string
	mayFail   bool // -
	asRoot    bool // + ! !!
	noExpand  bool // :
	givenArg0 bool // @
}

// parseExec parses the prefixes and splits the command.
func parseExec(value string) (execLine, error) {
	var e execLine
	for value != "" && strings.ContainsRune("-+!:@", rune(value[0])) {
		switch value[0] {
		case '-':
			e.mayFail = true
		case '+', '!':
			e.asRoot = true
		case ':':
			e.noExpand = true
		case '@':
			e.givenArg0 = true
		}
		value = value[1:]
	}
	var err error
	if e.argv, err = splitQuoted(value); err != nil {
		return e, err
	}
	if len(e.argv) == 0 || e.givenArg0 && len(e.argv) < 2 {
		return e, fmt.Errorf("command %q has no program", value)
	}
	return e, nil
}

// splitQuoted splits at blanks outside of quotes and decodes escapes, as in
// systemd.syntax(7).
func splitQuoted(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			in = true
			switch s[i] {
			case 'n':
				word.WriteByte('\n')
			case 't':
				word.WriteByte('\t')
			case 's':
				word.WriteByte(' ')
			case 'x':
				if i+2 >= len(s) {
					return nil, fmt.Errorf("%q ends within an escape", s)
				}
				b, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
				if err != nil {
					return nil, fmt.Errorf("%q has a bad escape: %w", s, err)
				}
				word.WriteByte(byte(b))
				i += 2
			default:
				word.WriteByte(s[i])
			}
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q lacks a closing quote", s)
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// substitute replaces variables: ${V} anywhere, and the word $V with the words of its
// value.
func substitute(argv []string, env map[string]string) []string {
	var out []string
	for i, a := range argv {
		if i > 0 && len(a) > 1 && a[0] == '$' && a[1] != '{' && a[1] != '$' && isName(a[1:]) {
			out = append(out, strings.Fields(env[a[1:]])...)
			continue
		}
		var b strings.Builder
		for a != "" {
			switch {
			case strings.HasPrefix(a, "$$"):
				b.WriteByte('$')
				a = a[2:]
			case strings.HasPrefix(a, "${"):
				name, rest, ok := strings.Cut(a[2:], "}")
				if !ok {
					b.WriteString(a)
					a = ""
					continue
				}
				b.WriteString(env[name])
				a = rest
			default:
				b.WriteByte(a[0])
				a = a[1:]
			}
		}
		out = append(out, b.String())
	}
	return out
}

// isName reports whether s is a valid variable name.
func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
