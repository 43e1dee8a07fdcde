// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML parses t.src[t.bom:] and makes nodes for the section Mappings.
func (t *Template) parseYAML() error {
	if t.parseSection() {
		return nil
	}
	return t.parseWhole()
}

// parseSection parses only the section Mappings. It returns false, and changes
// nothing, if the result could differ from parsing the whole file.
func (t *Template) parseSection() bool {
	s, ok := skim(t.src, t.bom)
	if !ok {
		return false
	}
	alone := *t
	alone.lines, alone.before, alone.from, alone.to = s.lines, s.before, s.from, s.to
	if e, ok := skimRows(t.src, s.from, s.to); ok {
		alone.yaml, alone.mappings = new(yaml.Node), e
		*t = alone
		return true
	}
	doc, err := alone.decodeYAML(t.src[s.from:s.to])
	if err != nil {
		return false
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != "Mappings" || shares(root) {
		return false
	}
	alone.yaml = doc
	if alone.mappings.key, err = alone.yamlNode(root.Content[0], 0); err != nil {
		return false
	}
	if alone.mappings.val, err = alone.yamlNode(root.Content[1], 0); err != nil {
		return false
	}
	*t = alone
	return true
}

// parseWhole is parseYAML for the whole file.
func (t *Template) parseWhole() error {
	t.lines = lineStarts(t.src, true)
	doc, err := t.decodeYAML(t.src[t.bom:])
	if err != nil {
		return err
	}
	t.yaml = doc
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return t.errorf(max(0, t.offsetOf(root)), "the template is not a map; expected sections such as Mappings: and Resources:")
	}
	for i := 0; i < len(root.Content); i += 2 {
		k := root.Content[i]
		if k.Kind != yaml.ScalarNode || k.Value != "Mappings" {
			if k.Kind == yaml.ScalarNode && resembles(k.Value) {
				if t.nearly, err = t.yamlNode(k, 0); err != nil {
					return err
				}
			}
			continue
		}
		if t.mappings.key != nil {
			return t.errorf(t.offsetOf(k), "the section Mappings occurs a second time, after line %d: readers may use either one; keep one of them",
				t.pos(t.mappings.key.start).Line)
		}
		if t.mappings.key, err = t.yamlNode(k, 0); err != nil {
			return err
		}
		if t.mappings.val, err = t.yamlNode(root.Content[i+1], 0); err != nil {
			return err
		}
		t.section(root, i)
	}
	return nil
}

// decodeYAML reads exactly one document.
func (t *Template) decodeYAML(src []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, &Error{File: t.name, Msg: "the template is empty"}
	} else if err != nil {
		return nil, t.yamlError(dec, err)
	}
	switch err := dec.Decode(&next); {
	case errors.Is(err, io.EOF):
		return &doc, nil
	case err != nil:
		return nil, t.yamlError(dec, err)
	}
	return nil, &Error{File: t.name, Pos: Pos{next.Line, next.Column},
		Msg: "a second YAML document begins here; a template is one document: move the others to separate files"}
}

func (t *Template) offsetOf(n *yaml.Node) int {
	// The parser read the text without its byte order mark, which is on line 1.
	column := n.Column
	line := t.before + n.Line
	if line == 1 && t.bom > 0 {
		column++
	}
	return t.offset(line, column)
}

const maxDepth = 100

// yamlNode makes a node of n. The parser returns only the start of a value; its end
// is found in the text, or is -1 if it is unclear.
func (t *Template) yamlNode(n *yaml.Node, depth int) (*node, error) {
	at := t.offsetOf(n)
	if at < 0 {
		return nil, &Error{File: t.name, Pos: Pos{n.Line, n.Column}, Msg: "the position that the YAML parser gave is outside the text; write the map with plain line ends"}
	}
	if depth > maxDepth {
		return nil, t.errorf(at, "nested more than %d levels deep", maxDepth)
	}
	m := &node{start: at, end: -1, text: n.Value, anchor: n.Anchor, flow: n.Style&yaml.FlowStyle != 0}
	if n.Style&yaml.TaggedStyle != 0 {
		m.tag = n.Tag
	}
	m.body = at
	if n.Kind != yaml.AliasNode {
		m.body = skipProperties(t.src, at, m.tag)
	}
	switch n.Kind {
	case yaml.ScalarNode:
		m.str, m.null = n.Tag == "!!str", n.Tag == "!!null"
		t.yamlScalar(n, m)
	case yaml.AliasNode:
		m.kind = alias
		if end := at + 1 + len(n.Value); end <= len(t.src) && string(t.src[at:end]) == "*"+n.Value {
			m.end = end
		}
		if n.Alias != nil && depth < maxDepth/2 {
			if m.target = t.targets[n.Alias]; m.target != nil {
				break
			}
			var err error
			if m.target, err = t.yamlNode(n.Alias, maxDepth/2); err != nil {
				return nil, err
			}
			if t.targets == nil {
				t.targets = make(map[*yaml.Node]*node)
			}
			t.targets[n.Alias] = m.target
		}
	case yaml.MappingNode:
		m.kind = object
		for i := 0; i < len(n.Content); i += 2 {
			k, err := t.yamlNode(n.Content[i], depth+1)
			if err != nil {
				return nil, err
			}
			v, err := t.yamlNode(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if v.end == v.body && v.body > k.end && v.null && v.tag == "" && v.anchor == "" {
				// The parser puts a missing value at the next token; it belongs
				// after its colon.
				for v.end > k.end && k.end >= 0 && isSpace(t.src[v.end-1]) {
					v.end--
				}
				v.start, v.body = v.end, v.end
			}
			m.entry = append(m.entry, entry{k, v})
		}
		t.yamlEnd(m)
	case yaml.SequenceNode:
		m.kind = list
		for _, c := range n.Content {
			v, err := t.yamlNode(c, depth+1)
			if err != nil {
				return nil, err
			}
			m.item = append(m.item, v)
		}
		t.yamlEnd(m)
	}
	return m, nil
}

// yamlScalar finds a scalar's end and quote.
func (t *Template) yamlScalar(n *yaml.Node, m *node) {
	src, at := t.src, m.body
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		m.quote = '|'
	case n.Style&yaml.DoubleQuotedStyle != 0 && at < len(src) && src[at] == '"':
		m.quote = '"'
		for i := at + 1; i < len(src); i++ {
			switch src[i] {
			case '\\':
				i++
			case '"':
				m.end = i + 1
				return
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0 && at < len(src) && src[at] == '\'':
		m.quote = '\''
		for i := at + 1; i < len(src); i++ {
			if src[i] != '\'' {
				continue
			}
			if i+1 == len(src) || src[i+1] != '\'' {
				m.end = i + 1
				return
			}
			i++
		}
	case bytes.HasPrefix(src[at:], []byte(n.Value)):
		m.end = at + len(n.Value)
		if n.Value == "" && m.body > m.start {
			// Only a tag or an anchor.
			for m.end > m.start && isSpace(src[m.end-1]) {
				m.end--
			}
			m.body = m.end
		}
	}
}

// yamlEnd finds the end of a collection from that of its last child.
func (t *Template) yamlEnd(m *node) {
	last := m.body + 1
	switch {
	case len(m.entry) > 0:
		e := m.entry[len(m.entry)-1]
		last = e.val.end
		if !m.flow && e.val.end == e.val.start && e.val.end < e.key.end {
			last = e.key.end
		}
	case len(m.item) > 0:
		last = m.item[len(m.item)-1].end
	}
	if last < 0 || !m.flow {
		m.end = last
		return
	}
	for i := last; i < len(t.src); i++ {
		switch c := t.src[i]; {
		case c == '}' || c == ']':
			m.end = i + 1
			return
		case c == '#':
			i = t.lineEnd(i) - 1
		case c != ',' && c != ':' && !isSpace(c):
			return
		}
	}
}

// skipProperties returns the offset after a tag and an anchor at src[at:].
func skipProperties(src []byte, at int, tag string) int {
	for at < len(src) && (src[at] == '!' || src[at] == '&') {
		if i := bytes.IndexByte(src[at:], '>'); i > 0 && bytes.HasPrefix(src[at:], []byte("!<")) {
			at += i // a verbatim tag may contain a comma
		} else if src[at] == '!' && bytes.HasPrefix(src[at:], []byte(tag)) {
			at += len(tag) // may contain a comma
		}
		for at < len(src) && !isSpace(src[at]) && !bytes.ContainsRune([]byte(",[]{}"), rune(src[at])) {
			_, n := utf8.DecodeRune(src[at:])
			at += n
		}
		for at < len(src) && isSpace(src[at]) {
			at++
		}
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
