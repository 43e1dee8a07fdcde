// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"go.yaml.in/yaml/v3"
)

// section records the bytes of the section Mappings, entry i of root, if parsing
// these bytes alone gives the same result as parsing the whole file.
//
// This holds if the root is a block map, and this key and the next one start their
// lines. There the YAML parser is always in the same state: block style, indentation
// 0, between two entries of the root. So the text before, the section, and the text
// after can each be parsed alone, if the section alone is one document with one key
// and ends at a line end. An unclosed quote, bracket or second document would be
// detected. Only anchors and %TAG directives have an effect beyond the section; with
// them the whole file is parsed again. JSON needs no such checks.
func (t *Template) section(root *yaml.Node, i int) {
	start := t.mappings.key.start
	if root.Style&yaml.FlowStyle != 0 || root.Content[i].Column != 1 || t.mappings.key.body != start {
		return
	}
	end := len(t.src)
	if i+2 < len(root.Content) {
		next := root.Content[i+2]
		if next.Column != 1 {
			return
		}
		end = t.offsetOf(next)
	}
	for _, line := range t.lines {
		if line >= start {
			break
		}
		if line = max(line, t.bom); line < len(t.src) && t.src[line] == '%' {
			return
		}
	}
	if shares(root.Content[i+1]) {
		return
	}
	t.from, t.to = start, end
}

// shares reports whether n contains an anchor or an alias.
func shares(n *yaml.Node) bool {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return true
	}
	for _, c := range n.Content {
		if shares(c) {
			return true
		}
	}
	return false
}

// unshared rejects a node that an alias refers to; with deep set also one that
// contains such a node.
func (t *Template) unshared(n *node, deep bool) error {
	if n.anchor != "" && n.kind != alias && t.yaml != nil {
		if at := t.aliasOf(n.anchor); at != nil {
			return t.errorf(n.start, "the value with the anchor &%s is used again on line %d (*%s): an edit would change both; write the other one out",
				n.anchor, at.Line, n.anchor)
		}
	}
	if !deep {
		return nil
	}
	for _, e := range n.entry {
		if err := errors.Join(t.unshared(e.key, true), t.unshared(e.val, true)); err != nil {
			return err
		}
	}
	for _, c := range n.item {
		if err := t.unshared(c, true); err != nil {
			return err
		}
	}
	return nil
}

// aliasOf returns the first alias of an anchor; nil if there is none.
func (t *Template) aliasOf(anchor string) *yaml.Node {
	if t.aliases == nil {
		t.aliases = make(map[string]*yaml.Node)
		collectAliases(t.yaml, t.aliases)
	}
	return t.aliases[anchor]
}

func collectAliases(n *yaml.Node, first map[string]*yaml.Node) {
	if n.Kind == yaml.AliasNode && first[n.Value] == nil {
		first[n.Value] = n
	}
	for _, c := range n.Content {
		collectAliases(c, first)
	}
}

// prove verifies that out is the template with the edits and no other change. It
// compares the bytes outside the splices, parses the part of the result that the
// edits can affect (see section and around), and compares it node by node with the
// expected result.
//
// Comments need no comparison: their bytes are outside the splices, and a comment
// that became part of a value would show as a changed value.
func (t *Template) prove(out []byte, splices []splice, mapping string, rows []rowEdit) error {
	fail := func(what string) error {
		return t.errorf(t.mappings.key.start, "the edit of %s could not be verified (%s), so nothing was written; please report this template", mapping, what)
	}
	at, shift := 0, 0
	for _, s := range splices {
		if !bytes.Equal(t.src[at:s.start], out[at+shift:s.start+shift]) {
			return fail("bytes outside the edit changed")
		}
		shift += len(s.text) - (s.end - s.start)
		at = s.end
	}
	if !bytes.Equal(t.src[at:], out[at+shift:]) {
		return fail("bytes outside the edit changed")
	}
	if t.to > 0 && (splices[0].start < t.from || splices[len(splices)-1].end > t.to) {
		return fail("an edit left the section")
	}

	want := expect(t.mappings.val, mapping, rows)
	if t.yaml == nil {
		if err := t.proveJSON(out, splices, shift, want); err != nil {
			return fail(err.Error())
		}
		return nil
	}
	read, bom := out, t.bom
	if t.to > 0 {
		read, bom = out[t.from:t.to+shift], 0
		if t.to < len(t.src) && !endsLine(read) {
			return fail("the section does not end its line")
		}
		if p, w := t.around(out, splices, shift, mapping, want); w != nil {
			read, want = p, w
		}
	}
	after := &Template{name: t.name, src: read, bom: bom}
	if err := after.parseWhole(); err != nil {
		return fail("the result does not parse: " + err.Error())
	}
	if t.to > 0 && len(after.yaml.Content[0].Content) != 2 {
		return fail("the section has grown a second key")
	}
	if after.mappings.key == nil || !same(t.mappings.key, after.mappings.key) {
		return fail("the section Mappings is gone")
	}
	if !sameEdited(want, after.mappings.val) {
		return fail("the map does not read as it should")
	}
	return nil
}

// around returns the rows of out that contain the splices, below the lines that
// open the section and the map, and the expected nodes. It returns nil if the whole
// section must be parsed.
//
// As in section, complete rows of a block map that start their lines can be parsed
// alone: no row continues on a line that begins in its own column.
func (t *Template) around(out []byte, splices []splice, shift int, mapping string, want *node) ([]byte, *node) {
	top := t.mappings.val
	i := top.find(mapping)
	m := top.entry[i]
	rows := m.val.entry
	if top.flow || m.val.flow || m.val.kind != object || m.val.intrinsic() || len(rows) == 0 || len(want.entry[i].val.entry) < len(rows) {
		return nil, nil
	}
	from, to := splices[0].start, splices[len(splices)-1].end
	first := sort.Search(len(rows), func(k int) bool { return rows[k].key.start > from }) - 1
	last := sort.Search(len(rows), func(k int) bool { return rows[k].key.start >= to })
	end := t.to
	switch {
	case first < 0:
		return nil, nil
	case last < len(rows):
		end = t.ownLine(m.val, rows[last].key)
	case i+1 < len(top.entry):
		end = t.ownLine(top, top.entry[i+1].key)
	}
	maps, name := t.ownLine(top, top.entry[0].key), t.ownLine(top, m.key)
	body, start := t.ownLine(m.val, rows[0].key), t.ownLine(m.val, rows[first].key)
	if maps < 0 || name < 0 || body < 0 || start < 0 || end < to || last <= first {
		return nil, nil
	}
	read := bytes.Join([][]byte{out[t.from:maps], out[name:body], out[start : end+shift]}, nil)
	if end < len(t.src) && !endsLine(read) {
		return nil, nil
	}
	part, row := *want, *want.entry[i].val
	if last == len(rows) {
		last = len(row.entry) // with the added rows
	} else if len(row.entry) > len(rows) {
		return nil, nil
	}
	row.entry = row.entry[first:last]
	part.entry = []entry{{want.entry[i].key, &row}}
	return read, &part
}

// ownLine returns the offset of the line that key starts, in the column of its map;
// -1 if anything but indentation precedes it, or a `?`.
func (t *Template) ownLine(of, key *node) int {
	start := t.lineStart(key.start)
	if key.body != key.start || skipSpaces(t.src[:key.start], start) != key.start || t.column(of.body) != key.start-start {
		return -1
	}
	return start
}

// proveJSON parses the innermost object around all splices again. That is enough in
// JSON: replacing one value by another does not affect the rest.
func (t *Template) proveJSON(out []byte, splices []splice, shift int, want *node) error {
	from, to := splices[0].start, splices[len(splices)-1].end
	n := t.mappings.val
	if from <= n.start || to >= n.end {
		return errors.New("an edit left the section")
	}
	for i := 0; i < len(n.entry); i++ {
		if v := n.entry[i].val; v.kind == object && v.start < from && to < v.end {
			n, want, i = v, want.entry[i].val, -1
		}
	}
	r := newJSONReader(out[n.start:n.end+shift], n.start)
	got, err := r.read()
	switch {
	case err != nil:
		return fmt.Errorf("the result does not parse: %w", err)
	case got.end != n.end+shift:
		return errors.New("text follows the map")
	case !sameEdited(want, got):
		return errors.New("the map does not read as it should")
	}
	return nil
}

func endsLine(s []byte) bool {
	for n := 1; n <= 3 && n <= len(s); n++ {
		if lineBreak(s, len(s)-n, true) == n {
			return true
		}
	}
	return false
}

// edited marks a value that is compared only by its text.
const edited = 1

// expect returns the section as it should be after the edits. Values that were set
// have the quote `edited`, because the edit chose their style.
func expect(top *node, mapping string, rows []rowEdit) *node {
	want := *top
	want.entry = append([]entry(nil), top.entry...)
	i := want.find(mapping)
	m := *want.entry[i].val
	if m.kind != object || m.intrinsic() || len(m.entry) == 0 {
		m = node{kind: object, quote: edited}
	}
	m.entry = append([]entry(nil), m.entry...)
	for _, r := range rows {
		k := m.find(r.region)
		switch {
		case r.remove:
			m.entry = append(m.entry[:k:k], m.entry[k+1:]...)
			continue
		case k < 0:
			k = len(m.entry)
			m.entry = append(m.entry, entry{newText(r.region), &node{kind: object, quote: edited}})
		}
		row := *m.entry[k].val
		if row.kind != object || row.intrinsic() || len(row.entry) == 0 {
			row = node{kind: object, quote: edited}
		}
		row.entry = append([]entry(nil), row.entry...)
		for _, c := range r.cells {
			j := row.find(c.Attribute)
			if j < 0 {
				row.entry = append(row.entry, entry{newText(c.Attribute), newText(c.Value)})
				continue
			}
			old := row.entry[j]
			if holds(old.val, c.Value) {
				continue
			}
			set := newText(c.Value)
			if set.tag = old.val.keptTag(); set.tag == old.val.tag {
				set.anchor = old.val.anchor
			}
			row.entry[j] = entry{old.key, set}
		}
		m.entry[k] = entry{m.entry[k].key, &row}
	}
	want.entry[i] = entry{want.entry[i].key, &m}
	return &want
}

func newText(s string) *node { return &node{text: s, str: true, quote: edited} }

// sameEdited is like same, but ignores the style of nodes marked as edited.
func sameEdited(want, got *node) bool {
	if want.kind != got.kind || len(want.entry) != len(got.entry) {
		return false
	}
	if want.quote == edited {
		if got.tag != want.tag || got.anchor != want.anchor || got.text != want.text || got.str != want.str || len(got.item) > 0 {
			return false
		}
	} else if want.kind != object {
		return same(want, got)
	} else if want.tag != got.tag || want.anchor != got.anchor || want.flow != got.flow {
		return false
	}
	for i := range want.entry {
		if !sameEdited(want.entry[i].key, got.entry[i].key) || !sameEdited(want.entry[i].val, got.entry[i].val) {
			return false
		}
	}
	return true
}
