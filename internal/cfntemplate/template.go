// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is a parsed template. It holds on to the bytes that it was made of
// and never changes them.
type Template struct {
	name     string
	src      []byte
	bom      int        // bytes of the byte order mark, 0 or 3
	lines    []int      // offset of each line
	yaml     *yaml.Node // of the whole or of the section; empty if it was not parsed; nil for JSON
	before   int        // lines before what was parsed
	mappings entry      // nil key if there is no such section
	from, to int        // the section's bytes, if it can be proven alone
}

// Parse reads a template; name is what errors call it. The content decides
// whether it is JSON or YAML, never the name. An error is an *Error.
func Parse(name string, src []byte) (*Template, error) {
	t := &Template{name: name, src: src}
	switch {
	case bytes.HasPrefix(src, []byte("\xEF\xBB\xBF")):
		t.bom = 3
	case bytes.HasPrefix(src, []byte("\xFE\xFF")), bytes.HasPrefix(src, []byte("\xFF\xFE")):
		return nil, &Error{File: name, Pos: Pos{1, 1}, Msg: "the file is UTF-16; CloudFormation reads UTF-8: convert it"}
	}
	text := bytes.TrimLeft(src[t.bom:], " \t\r\n")
	if len(text) == 0 {
		return nil, &Error{File: name, Msg: "the template is empty"}
	}
	if text[0] != '{' && text[0] != '[' {
		return t, t.parseYAML()
	}
	t.lines = lineStarts(src, false)
	jsonErr := t.parseJSON()
	if jsonErr == nil || t.mappings.key != nil && strings.Contains(jsonErr.Error(), "second time") {
		return t, jsonErr
	}
	// As CloudFormation does: JSON, else YAML, whose flow style looks like it.
	y := &Template{name: name, src: src, bom: t.bom}
	if err := y.parseYAML(); err != nil {
		return nil, jsonErr
	}
	return y, nil
}

// Mapping is a region map as it stands in a template.
type Mapping struct {
	Name string
	Pos
	Rows []Row
}

// Row is a region's row of a map.
type Row struct {
	Region string
	Pos
	Cells []Cell
}

// Cell is one value of a row.
type Cell struct {
	Name string
	Pos
	Value string // as text; empty for a list, a map or a function call
	// Placeholder says that the value is null, empty or a function call, or
	// that it begins with ami- and cannot be the id of an image.
	Placeholder bool
}

// Cell returns the cell of a region; false if there is none.
func (m *Mapping) Cell(region, attribute string) (Cell, bool) {
	for _, r := range m.Rows {
		if r.Region != region {
			continue
		}
		for _, c := range r.Cells {
			if c.Name == attribute {
				return c, true
			}
		}
	}
	return Cell{}, false
}

// Mapping returns the map called name. If there is none, the error names those
// that there are.
func (t *Template) Mapping(name string) (*Mapping, error) {
	e, err := t.locate(name)
	if err != nil {
		return nil, err
	}
	m := &Mapping{Name: name, Pos: t.pos(e.key.start)}
	for _, r := range e.val.entry {
		row := Row{Region: r.key.text, Pos: t.pos(r.key.start)}
		val := r.val
		if val.kind == alias && val.target != nil {
			val = val.target
		}
		if !val.intrinsic() {
			for _, c := range val.entry {
				cell := Cell{Name: c.key.text, Pos: t.pos(c.key.start), Placeholder: placeholder(c.val)}
				if c.val.kind == scalar && !c.val.null && !c.val.intrinsic() {
					cell.Value = c.val.text
				}
				row.Cells = append(row.Cells, cell)
			}
		}
		m.Rows = append(m.Rows, row)
	}
	return m, nil
}

// locate finds the map called name and refuses what cannot be read one way only.
func (t *Template) locate(name string) (entry, error) {
	none := entry{}
	if t.mappings.key == nil {
		return none, &Error{File: t.name, Msg: fmt.Sprintf("the template has no section Mappings; expected Mappings with a map %s in it", name)}
	}
	top := t.mappings.val
	if top.kind != object {
		return none, t.errorf(t.mappings.key.start, "Mappings is not a map; expected a map %s in it", name)
	}
	if err := t.unambiguous(top, "Mappings"); err != nil {
		return none, err
	}
	i := top.find(name)
	if i < 0 {
		var names []string
		for _, e := range top.entry {
			if e.key.text == "Fn::Transform" {
				return none, t.errorf(e.key.start, "Mappings has no map %s here; Fn::Transform includes maps from another file: edit that file", name)
			}
			names = append(names, e.key.text)
		}
		has := "it has none"
		if len(names) > 0 {
			has = "it has " + strings.Join(names, ", ")
		}
		return none, t.errorf(t.mappings.key.start, "Mappings has no map %s; %s: set mapping to the name of the map, or add it with its first row", name, has)
	}
	e := top.entry[i]
	if e.val.kind == alias {
		return none, t.errorf(e.val.start, "the map %s is an alias (*%s): an edit would change the other place too; write its rows out", name, e.val.text)
	}
	if e.val.kind == object && !e.val.intrinsic() {
		if err := t.unambiguous(e.val, name); err != nil {
			return none, err
		}
		if i := e.val.find("Fn::Transform"); i >= 0 {
			return none, t.errorf(e.val.entry[i].key.start, "rows of %s are included from another file by Fn::Transform; edit that file", name)
		}
		for _, r := range e.val.entry {
			if r.val.kind == object {
				if err := t.unambiguous(r.val, name+"."+r.key.text); err != nil {
					return none, err
				}
			}
		}
		return e, nil
	}
	if placeholder(e.val) {
		return e, nil
	}
	return none, t.errorf(e.key.start, "%s is not a map of regions", name)
}

// unambiguous refuses keys that stand twice, merge keys and keys that are no
// text.
func (t *Template) unambiguous(n *node, what string) error {
	if n.customTag() {
		return t.errorf(n.start, "%s has the tag %s, which may change what it means; remove the tag", what, n.tag)
	}
	seen := n.find // a row has few cells
	if len(n.entry) > 16 {
		first := make(map[string]int, len(n.entry))
		for i := len(n.entry) - 1; i >= 0; i-- {
			first[n.entry[i].key.text] = i
		}
		seen = func(key string) int { return first[key] }
	}
	for i, e := range n.entry {
		switch {
		case e.key.kind != scalar:
			return t.errorf(e.key.start, "a key in %s is not text; write the name itself", what)
		case e.key.end < 0:
			return t.errorf(e.key.start, "the name %q in %s is written in a way whose end is not known; write it on one line, without an anchor", e.key.text, what)
		case e.key.quote == 0 && strings.HasSuffix(e.key.text, ":") && t.yaml != nil:
			return t.errorf(e.key.start, "the name %q in %s ends in a colon, since no space follows it; write the space, or the name in quotes", e.key.text, what)
		case e.key.text == "<<" && e.key.quote == 0 && t.yaml != nil:
			return t.errorf(e.key.start, "%s takes keys from elsewhere with <<, which CloudFormation does not read; write them out", what)
		case seen(e.key.text) < i:
			return t.errorf(e.key.start, "%s has %s a second time, after line %d: a reader may take either; keep one of them",
				what, e.key.text, t.pos(n.entry[seen(e.key.text)].key.start).Line)
		}
	}
	return nil
}

// placeholder says whether a value stands for one that is still to come.
func placeholder(n *node) bool {
	if n.null || n.intrinsic() {
		return true
	}
	switch n.kind {
	case scalar:
		return IsPlaceholder(n.text)
	case object:
		return len(n.entry) == 0
	}
	return false
}
