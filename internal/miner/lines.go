// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine is the maximum length of a line in bytes; the rest is dropped.
const maxLine = 8 << 10

// Lines is an io.Writer that passes each line, without its end (LF, CR or both), to
// Each. It uses constant memory and skips empty lines.
type Lines struct {
	// Each is called with each line.
	Each    func(line string)
	pending []byte
}

// Write never fails.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			l.keep(p)
			break
		}
		l.keep(p[:end])
		l.Flush()
		p = p[end+1:]
	}
	return n, nil
}

// Flush passes on a last line without an end.
func (l *Lines) Flush() {
	if len(l.pending) > 0 {
		line := string(l.pending)
		l.pending = l.pending[:0]
		l.Each(line)
	}
}

func (l *Lines) keep(p []byte) {
	room := maxLine - len(l.pending)
	l.pending = append(l.pending, p[:min(len(p), room)]...)
}

// maxShown is the maximum length in bytes of a line that is shown to the user.
const maxShown = 300

// Printable returns a line of a program that is fit for a message: not too long, and
// without characters that a terminal cannot show or would obey.
func Printable(line string) string {
	cut := len(line) > maxShown
	if cut {
		line = line[:maxShown]
	}
	line = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r != '\t' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line)
	if cut {
		line += "..."
	}
	return line
}
