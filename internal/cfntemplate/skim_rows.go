// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"strings"
)

// skimRows makes the nodes of a section Mappings, src[from:to], that consists of
// block maps of names and plain or quoted texts, each entry on its own line, as
// nearly all region maps do. It returns false for anything else, which the parser
// then reads. As in skim, it accepts only unambiguous forms, and tests compare the
// nodes and their positions with those of the full parser.
func skimRows(src []byte, from, to int) (e entry, ok bool) {
	type level struct {
		column int
		n      *node
	}
	stack := []level{{-1, &node{kind: object}}}
	open := true // the last map on the stack has no entry yet
	for at := from; at < to; {
		l, next := src[at:to], to
		if i := bytes.IndexByte(l, '\n'); i >= 0 {
			l, next = l[:i], at+i+1
		}
		l = bytes.TrimSuffix(l, []byte("\r"))
		tab, fine := printable(l)
		n := skipSpaces(l, 0)
		switch {
		case !fine:
			return e, false
		case n == len(l) || l[n] == '#':
			at = next
			continue
		case tab:
			return e, false
		}
		top := len(stack) - 1
		if open {
			if n <= stack[top].column || top >= maxDepth {
				return e, false
			}
			m := stack[top].n
			m.start, m.body = at+n, at+n
			stack[top].column, open = n, false
		}
		for stack[top].column > n {
			stack[top-1].n.end = stack[top].n.end
			top--
		}
		if stack = stack[:top+1]; stack[top].column != n {
			return e, false
		}
		_, behind := skimKey(l[n:])
		if behind < 0 {
			return e, false
		}
		key, fine := skimText(l[n:n+behind-1], at+n)
		if !fine {
			return e, false
		}
		v := n + behind
		v = skipSpaces(l, v)
		val := &node{kind: object}
		if v == len(l) || l[v] == '#' {
			open = true
			stack = append(stack, level{n, val})
		} else if val, fine = skimText(l[v:], at+v); !fine {
			return e, false
		}
		m := stack[top].n
		m.entry = append(m.entry, entry{key, val})
		m.end = val.end
		at = next
	}
	for i := len(stack) - 1; i > 0; i-- {
		stack[i-1].n.end = stack[i].n.end
	}
	root := stack[0].n
	if open || len(root.entry) != 1 || root.entry[0].key.text != "Mappings" {
		return e, false
	}
	return root.entry[0], true
}

// skimText makes a node of the plain or quoted text in l, at offset at, without its
// comment. It accepts only texts that can only be strings.
func skimText(l []byte, at int) (*node, bool) {
	n := &node{start: at, body: at, str: true}
	if c := l[0]; c == '"' || c == '\'' {
		end := skimQuoted(l, 0)
		if end < 0 || !ends(l[end:]) {
			return nil, false
		}
		n.quote, n.text, n.end = c, string(l[1:end-1]), at+end
		return n, strings.IndexByte(n.text, '\\') < 0 && strings.IndexByte(n.text, '\'') < 0
	}
	if i := bytes.Index(l, []byte(" #")); i >= 0 {
		l = l[:i]
	}
	l = bytes.TrimRight(l, " ")
	if c := l[0] | 0x20; c < 'a' || c > 'z' || bytes.Contains(l, []byte(": ")) || l[len(l)-1] == ':' {
		return nil, false
	}
	if len(l) <= len("false") {
		switch strings.ToLower(string(l)) {
		case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
			return nil, false
		}
	}
	n.text, n.end = string(l), at+len(l)
	return n, true
}
