// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"fmt"
	"sort"

	"unicode/utf8"
)

// Pos is a place in a template. Line and Column count from 1; Column counts
// characters, not bytes.
type Pos struct{ Line, Column int }

// Error is what is wrong with a template or an edit, and where.
type Error struct {
	File string // as given to Parse
	Pos         // zero if the whole file is meant
	Msg  string // what, the value, what was expected, the remedy
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

func (t *Template) errorf(at int, format string, args ...any) error {
	return &Error{File: t.name, Pos: t.pos(at), Msg: fmt.Sprintf(format, args...)}
}

// lineBreak returns the length in bytes of the line break at s[i:], or 0. With
// yaml set it knows the breaks of YAML 1.1, by which libyaml counts lines: also
// a bare CR, NEL (U+0085), LS (U+2028) and PS (U+2029).
func lineBreak(s []byte, i int, yaml bool) int {
	switch c := s[i]; {
	case c == '\n':
		return 1
	case c == '\r':
		if i+1 < len(s) && s[i+1] == '\n' {
			return 2
		}
		return 1
	case !yaml:
		return 0
	case c == 0xC2 && i+1 < len(s) && s[i+1] == 0x85:
		return 2
	case c == 0xE2 && i+2 < len(s) && s[i+1] == 0x80 && (s[i+2] == 0xA8 || s[i+2] == 0xA9):
		return 3
	}
	return 0
}

// lineStarts returns the offset of the first byte of every line.
func lineStarts(s []byte, yaml bool) []int {
	starts := make([]int, 1, len(s)/32+1)
	for i := 0; i < len(s); {
		c := s[i]
		if c > '\r' && c != 0xC2 && c != 0xE2 {
			i++
			continue
		}
		if n := lineBreak(s, i, yaml); n > 0 {
			i += n
			starts = append(starts, i)
			continue
		}
		i++
	}
	return starts
}

// pos turns an offset into a position.
func (t *Template) pos(at int) Pos {
	line := sort.SearchInts(t.lines, at+1) - 1
	from := t.lines[line]
	if from == 0 {
		from = min(t.bom, at)
	}
	return Pos{line + 1, utf8.RuneCount(t.src[from:at]) + 1}
}

// offset turns a position into an offset; -1 if the line is not that long.
func (t *Template) offset(line, column int) int {
	if line < 1 || line > len(t.lines) {
		return -1
	}
	at := t.lines[line-1]
	for ; column > 1; column-- {
		if at >= len(t.src) {
			return -1
		}
		_, n := utf8.DecodeRune(t.src[at:])
		at += n
	}
	return at
}

// lineStart is the offset at which the line of at begins.
func (t *Template) lineStart(at int) int {
	return t.lines[sort.SearchInts(t.lines, at+1)-1]
}

// lineEnd is the offset of the line break that ends the line of at, or the end
// of the file.
func (t *Template) lineEnd(at int) int {
	line := sort.SearchInts(t.lines, at+1)
	if line == len(t.lines) {
		return len(t.src)
	}
	end := t.lines[line]
	for i := max(t.lines[line-1], end-3); i < end; i++ {
		if lineBreak(t.src, i, t.yaml != nil) == end-i {
			return i
		}
	}
	return end
}

// eol is the line end to use beside the line of at: that line's own, or the one
// before it where the file ends without one.
func (t *Template) eol(at int) string {
	for line := sort.SearchInts(t.lines, at+1); line > 0; line-- {
		if line == len(t.lines) {
			continue
		}
		end := t.lines[line]
		switch s := t.src[t.lines[line-1]:end]; {
		case bytes.HasSuffix(s, []byte("\r\n")):
			return "\r\n"
		case s[len(s)-1] == '\r':
			return "\r"
		}
		return "\n"
	}
	return "\n"
}

// column is the number of bytes between at and the start of its line.
func (t *Template) column(at int) int { return at - max(t.bom, t.lineStart(at)) }
