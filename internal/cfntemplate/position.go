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

// Error is a problem of a template or an edit, with its position.
type Error struct {
	File string // as given to Parse
	Pos         // zero for the whole file
	Msg  string // problem, value, expectation, remedy
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
// yaml set it also accepts the line breaks of YAML 1.1, by which libyaml counts
// lines: NEL (U+0085), LS (U+2028) and PS (U+2029).
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

// pos converts an offset to a position.
func (t *Template) pos(at int) Pos {
	line := sort.SearchInts(t.lines, at+1) - 1
	from := t.lines[line]
	if from == 0 {
		from = min(t.bom, at)
	}
	if at-from <= milestone {
		return Pos{line + 1, utf8.RuneCount(t.src[from:at]) + 1}
	}
	return Pos{line + 1, t.runes(at) - t.runes(from) + 1}
}

// offset converts a position to an offset; -1 if the text ends before it.
func (t *Template) offset(line, column int) int {
	if line < 1 || line > len(t.lines) {
		return -1
	}
	at, left := t.lines[line-1], column-1
	if left > milestone {
		want := t.runes(at) + left
		stones := t.stones()
		k := sort.Search(len(stones), func(i int) bool { return stones[i].runes > want }) - 1
		at, left = stones[k].at, want-stones[k].runes
	}
	for ; left > 0; left-- {
		if at >= len(t.src) {
			return -1
		}
		_, n := utf8.DecodeRune(t.src[at:])
		at += n
	}
	return at
}

// milestone is the distance in bytes between offsets for which characters are
// counted in advance. Otherwise each look-up in a long line would read the line
// from its start.
const milestone = 256

type stone struct{ at, runes int }

// stones returns the milestones, computed on first use.
func (t *Template) stones() []stone {
	if t.counted == nil {
		t.counted = append(make([]stone, 0, len(t.src)/milestone+1), stone{})
		for at, n, next := 0, 0, milestone; at < len(t.src); n++ {
			if at >= next {
				t.counted, next = append(t.counted, stone{at, n}), at+milestone
			}
			_, size := utf8.DecodeRune(t.src[at:])
			at += size
		}
	}
	return t.counted
}

// runes counts the characters before an offset.
func (t *Template) runes(at int) int {
	stones := t.stones()
	s := stones[sort.Search(len(stones), func(i int) bool { return stones[i].at > at })-1]
	return s.runes + utf8.RuneCount(t.src[s.at:at])
}

// lineStart returns the offset at which the line of at begins.
func (t *Template) lineStart(at int) int {
	return t.lines[sort.SearchInts(t.lines, at+1)-1]
}

// lineEnd returns the offset of the line break that ends the line of at, or the end
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

// eol returns the line end of the line of at, or of the line before it if the file
// ends without one.
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

// column returns the number of bytes between at and the start of its line.
func (t *Template) column(at int) int { return at - max(t.bom, t.lineStart(at)) }
