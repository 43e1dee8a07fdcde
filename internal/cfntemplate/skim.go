// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"unicode/utf8"
)

// skim finds the section Mappings of a YAML template by reading lines, many times
// faster than a parse. It supports the subset of YAML that most templates use, and
// returns false for anything else; the template is then parsed in full.
//
// The result is the same as the parser's for this reason: each line that skim
// accepts is blank, a comment, text of a block scalar, or one or two of `- ` and
// `key:` with a value that ends on the same line (plain, quoted, flow, tagged) or
// opens a block. It accepts only unambiguous forms of these: no tab, anchor, alias,
// directive, second document or `?`, no continued lines except plain words, and only
// printable UTF-8 without rare line breaks. The indentation must match the open
// block collections, as on the parser's stack. So at the start and at the end of the
// section the parser is between two entries of the root, which is a block map, and
// everything else is valid YAML.
//
// The lines of the section itself are not checked: it ends at the next line without
// indentation if the section alone is complete, which the caller checks with the full
// parser (see section). A fuzz test compares the result with the full parser.
func skim(src []byte, bom int) (s skimmer, ok bool) {
	s.lines = make([]int, 1, len(src)/32+1)
	for at := bom; at < len(src); {
		end, next := len(src), len(src)
		if i := bytes.IndexByte(src[at:], '\n'); i >= 0 {
			end, next = at+i, at+i+1
			s.lines = append(s.lines, next)
			if end > at && src[end-1] == '\r' {
				end--
			}
		}
		if !s.line(src[at:end], at) {
			return s, false
		}
		at = next
	}
	if s.inside {
		s.to = len(src)
	}
	return s, s.found
}

type skimmer struct {
	lines    []int // offset of each line
	from, to int   // the section's bytes
	before   int   // lines before it
	found    bool
	inside   bool // the section

	begun bool    // there was a line with a token
	stack []block // open block collections, the root first
	open  bool    // the value of the last key or dash is on the following lines
	tag   bool    // that key or dash has a tag
	words bool    // the last line ends in plain text, which may continue

	text                   bool // in a block scalar
	parent, indent, blanks int  // columns of the block scalar; indent is -1 before its first line
}

type block struct {
	indent int
	list   bool
}

func (s *skimmer) line(l []byte, at int) bool {
	tab, ok := printable(l)
	if !ok {
		return false
	}
	n := skipSpaces(l, 0)
	blank := n == len(l)
	switch {
	case s.inside:
		if blank || n > 0 || l[0] == '#' {
			return true
		}
		s.inside, s.to = false, at
	case s.text && blank:
		if s.indent < 0 {
			s.blanks = max(s.blanks, n)
		}
		return true
	case s.text:
		if s.indent < 0 && n > s.parent {
			if n < s.blanks || l[n] == '\t' {
				return false
			}
			s.indent = n
		}
		if s.indent >= 0 && n >= s.indent {
			return true
		}
		s.text = false
	}
	if blank {
		return true
	}
	if l[n] == '#' {
		s.words = false
		return true
	}
	if tab {
		return false
	}
	if !s.begun {
		s.begun = true
		if bytes.HasPrefix(l, []byte("---")) {
			return ends(l[3:])
		}
	}
	return s.token(l, n, at)
}

// token reads a line that begins with a dash or a key, at column n.
func (s *skimmer) token(l []byte, n, at int) bool {
	item := l[n] == '-' && (n+1 == len(l) || l[n+1] == ' ')
	open, tag, words := s.open, s.tag, s.words
	s.open, s.tag, s.words = false, false, false
	name, behind := []byte(nil), -1
	if !item {
		name, behind = skimKey(l[n:])
	}
	switch top := len(s.stack) - 1; {
	case top < 0:
		if n != 0 || item {
			return false
		}
		s.stack = append(s.stack, block{})
	case words && n > s.stack[top].indent:
		return s.plain(l[n:])
	case open && n > s.stack[top].indent && !item && behind < 0:
		return (!tag || l[n] != '!') && s.value(l[n:], s.stack[top].indent)
	case open && (n > s.stack[top].indent || n == s.stack[top].indent && item && !s.stack[top].list):
		if top > maxDepth {
			return false
		}
		s.stack = append(s.stack, block{n, item})
	default:
		for s.stack[top].indent > n || s.stack[top].indent == n && s.stack[top].list && !item {
			top--
		}
		if s.stack = s.stack[:top+1]; s.stack[top] != (block{n, item}) {
			return false
		}
	}
	parent := n
	if item {
		at := skipSpaces(l, n+1)
		if at == len(l) || l[at] == '#' {
			return false
		}
		if name, behind = skimKey(l[at:]); behind < 0 {
			return s.value(l[at:], parent)
		}
		n, parent = at, at
		s.stack = append(s.stack, block{n, false})
	}
	if behind < 0 {
		return false
	}
	if n == 0 && string(name) == "Mappings" {
		if s.found {
			return false
		}
		s.found, s.inside, s.from, s.before = true, true, at, len(s.lines)-1
		if s.lines[s.before] > at {
			s.before--
		}
		return true
	}
	return s.value(l[n+behind:], parent)
}

// value reads the value after a colon or a dash; parent is the column of its
// collection.
func (s *skimmer) value(v []byte, parent int) bool {
	v = v[skipSpaces(v, 0):]
	if len(v) > 0 && v[0] == '!' {
		n := skimTag(v, 0)
		if n < 0 {
			return false
		}
		v = v[skipSpaces(v, n):]
		s.tag = true
	}
	if len(v) == 0 || v[0] == '#' {
		s.open = true
		return true
	}
	end := 1
	switch v[0] {
	case '|', '>':
		if len(v) > 1 && (v[1] == '-' || v[1] == '+') {
			end = 2
		}
		s.text, s.parent, s.indent, s.blanks = true, parent, -1, 0
	case '"', '\'':
		end = skimQuoted(v, 0)
	case '[', '{':
		end = skimFlow(v, 0, 0)
	default:
		return s.plain(v)
	}
	return end >= 0 && ends(v[end:])
}

// plain reads plain text, or a line of it.
func (s *skimmer) plain(v []byte) bool {
	switch c := v[0]; {
	case isWord(c), c == '/', c == '.', c == '$', c == '(', c == '+', c == '~', c >= utf8.RuneSelf,
		c == '-' && len(v) > 1 && isWord(v[1]):
	default:
		return false
	}
	for i := range v {
		switch {
		case v[i] == ':' && (i+1 == len(v) || v[i+1] == ' '):
			return false
		case v[i] == '#' && v[i-1] == ' ':
			return true
		}
	}
	s.words = true
	return true
}

// ends reports whether the rest of a line is empty or a comment.
func ends(l []byte) bool {
	n := skipSpaces(l, 0)
	return n == len(l) || n > 0 && l[n] == '#'
}

// skimKey reads `key:` and returns its text and the start of the value; -1 if there
// is no key.
func skimKey(l []byte) (name []byte, behind int) {
	i := 0
	if l[0] == '"' || l[0] == '\'' {
		end := bytes.IndexByte(l[1:], l[0])
		if end < 0 {
			return nil, -1
		}
		name, i = l[1:1+end], end+2
		if bytes.IndexByte(name, '\\') >= 0 {
			return nil, -1
		}
	} else {
		for i < len(l) && (isWord(l[i]) || i > 0 && (l[i] == '-' || l[i] == '.' || l[i] == '/' || l[i] == ':' && i+1 < len(l) && l[i+1] != ' ')) {
			i++
		}
		name = l[:i]
	}
	const longest = 1000 // bytes; the parser accepts names up to 1024
	if i == 0 || i > longest || i == len(l) || l[i] != ':' || i+1 < len(l) && l[i+1] != ' ' {
		return nil, -1
	}
	return name, i + 1
}

// skimTag returns the end of a tag such as !Ref at l[i:]; -1 for other tags.
func skimTag(l []byte, i int) int {
	from := i + 1
	for i = from; i < len(l) && isWord(l[i]); i++ {
	}
	if i == from || i < len(l) && l[i] != ' ' {
		return -1
	}
	return i
}

// skimQuoted returns the end of a quoted text at l[i:]; -1 if it is not on this
// line, or has escapes other than \\, \", \n and \t.
func skimQuoted(l []byte, i int) int {
	quote := l[i]
	for i++; i < len(l); i++ {
		switch c := l[i]; {
		case c == quote && quote == '\'' && i+1 < len(l) && l[i+1] == quote:
			i++
		case c == quote:
			return i + 1
		case c == '\\' && quote == '"':
			if i++; i == len(l) || bytes.IndexByte([]byte(`\"nt`), l[i]) < 0 {
				return -1
			}
		}
	}
	return -1
}

// skimFlow returns the end of the flow collection at l[i:]; -1 if it does not end on
// this line or is not simple.
func skimFlow(l []byte, i, depth int) int {
	shut := byte(']')
	if l[i] == '{' {
		shut = '}'
	}
	for i = skipSpaces(l, i+1); i < len(l); i = skipSpaces(l, i+1) {
		if l[i] == shut {
			return i + 1
		}
		if shut == '}' {
			if i = skimFlowScalar(l, i); i < 0 || i+1 >= len(l) || l[i] != ':' || l[i+1] != ' ' {
				return -1
			}
			i = skipSpaces(l, i+1)
		}
		if i < len(l) && l[i] == '!' {
			if i = skimTag(l, i); i < 0 {
				return -1
			}
			i = skipSpaces(l, i)
		}
		switch {
		case i == len(l) || depth > maxDepth:
			return -1
		case l[i] == '[' || l[i] == '{':
			i = skimFlow(l, i, depth+1)
		default:
			i = skimFlowScalar(l, i)
		}
		if i < 0 {
			return -1
		}
		i = skipSpaces(l, i)
		if i < len(l) && l[i] == shut {
			return i + 1
		}
		if i == len(l) || l[i] != ',' {
			return -1
		}
	}
	return -1
}

// skimFlowScalar returns the end of a quoted text or of plain words; -1 for anything
// else. Words may contain colons, as in AWS::Region, but not end in one.
func skimFlowScalar(l []byte, i int) int {
	if l[i] == '"' || l[i] == '\'' {
		return skimQuoted(l, i)
	}
	from := i
	const longest = 1000 // as for keys
	for ; i < len(l) && i-from < longest; i++ {
		switch c := l[i]; {
		case isWord(c):
		case i == from:
			return -1
		case c == '-', c == '.', c == '/', c == '$':
		case (c == ':' || c == ' ') && i+1 < len(l) && (isWord(l[i+1]) || c == ':' && l[i+1] == ':'):
		default:
			return i
		}
	}
	return -1
}

func skipSpaces(l []byte, i int) int {
	for i < len(l) && l[i] == ' ' {
		i++
	}
	return i
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// printable reports whether a line has a tab, and whether all its characters are
// allowed in YAML and do not break the line.
func printable(l []byte) (tab, ok bool) {
	for i := 0; i < len(l); i++ {
		c := l[i]
		if c >= ' ' && c < 0x7F {
			continue
		}
		if c == '\t' {
			tab = true
			continue
		}
		r, n := utf8.DecodeRune(l[i:])
		if r < 0xA0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029 || r == 0xFEFF || r == 0xFFFE || r == 0xFFFF {
			return tab, false
		}
		i += n - 1
	}
	return tab, true
}
