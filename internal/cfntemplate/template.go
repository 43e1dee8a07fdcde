// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// Template is a parsed template. It keeps the source bytes and never changes them.
type Template struct {
	name     string
	src      []byte
	bom      int                   // bytes of the byte order mark, 0 or 3
	lines    []int                 // offset of each line
	yaml     *yaml.Node            // of the file or of the section; empty if not parsed; nil for JSON
	before   int                   // lines before the parsed part
	mappings entry                 // nil key if the section does not exist
	from, to int                   // the section's bytes, if it can be verified alone
	braces   bool                  // the text begins like JSON
	nearly   *node                 // a key of the root that stands for Mappings or resembles it
	targets  map[*yaml.Node]*node  // of aliases
	aliases  map[string]*yaml.Node // the first of each anchor; computed on first use
	counted  []stone               // see stones
}

// Parse parses a template; name is used in errors. The format, JSON or YAML, is
// detected from the content, not from the name. An error is an *Error.
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
		if at := commentedJSON(text); at {
			t.lines = lineStarts(src, false)
			return t, t.syntaxError(t.first(), "JSON", "JSON has no comments; remove this one")
		}
		return t, t.parseYAML()
	}
	t.braces = true
	t.lines = lineStarts(src, false)
	jsonErr := t.parseJSON()
	if jsonErr == nil || t.mappings.key != nil && strings.Contains(jsonErr.Error(), "second time") {
		return t, jsonErr
	}
	// Like CloudFormation: JSON, else YAML in flow style.
	y := &Template{name: name, src: src, bom: t.bom, braces: true}
	err := y.parseYAML()
	if err == nil {
		return y, nil
	}
	if first := bytes.TrimLeft(text[1:], " \t\r\n"); text[0] == '{' && len(first) > 0 && first[0] != '"' && first[0] != '}' {
		return nil, err // a JSON object cannot begin like this
	}
	return nil, jsonErr
}

// commentedJSON reports whether the text is a JSON object after comments.
func commentedJSON(text []byte) bool {
	for {
		switch {
		case bytes.HasPrefix(text, []byte("//")):
			_, text, _ = bytes.Cut(text, []byte("\n"))
		case bytes.HasPrefix(text, []byte("/*")):
			_, text, _ = bytes.Cut(text, []byte("*/"))
		default:
			return len(text) > 0 && text[0] == '{'
		}
		text = bytes.TrimLeft(text, " \t\r\n")
	}
}

// Mapping is a region map in a template.
type Mapping struct {
	Name string
	Pos
	Rows  []Row
	doubt error // why the map cannot be edited
}

// Row is a region's row of a map.
type Row struct {
	Region string
	Pos
	Cells []Cell
	Err   error // why the row cannot be read; it then has no cells
	merge error // the row also has the cells of another one
}

// Cell is one value of a row.
type Cell struct {
	Name string
	Pos
	Value string // as text; empty for a list, a map or a function call
	Err   error  // why the value cannot be read, such as a duplicate name
	lack  string
	raw   string // the source text of a list or a map
}

// HasImage reports whether the cell contains an image id. It is the only test for
// an image, used to read, require and publish images.
func (c Cell) HasImage() bool { return c.Err == nil && c.lack == "" && c.Value != "" }

// Lack returns why the cell has no image, such as `is empty`; empty if it has one.
func (c Cell) Lack() string { return c.lack }

// lackOf returns why n is not an image.
func lackOf(n *node) string {
	switch {
	case n.kind == alias:
		return "is an alias of unknown content"
	case n.intrinsic():
		return "is a call of " + n.function()
	case n.kind != scalar:
		return "is " + describe(n)
	case n.null || n.text == "":
		return "is empty"
	case IsAMI(n.text):
		return ""
	case IsAMI(strings.TrimSpace(n.text)):
		return fmt.Sprintf("is %q, with white space around the id", n.text)
	case IsPlaceholder(n.text):
		return fmt.Sprintf("is %q, a placeholder", n.text)
	case isReference([]byte(n.text)):
		return fmt.Sprintf("is %q, a dynamic reference instead of a fixed image", n.text)
	}
	return fmt.Sprintf("is %q, not the id of an image", n.text)
}

// Row returns the row of a region; false if it does not exist.
func (m *Mapping) Row(region string) (Row, bool) {
	for _, r := range m.Rows {
		if r.Region == region {
			return r, true
		}
	}
	return Row{}, false
}

// Cell returns a cell; false if it does not exist.
func (m *Mapping) Cell(region, attribute string) (Cell, bool) {
	r, _ := m.Row(region)
	return r.cell(attribute)
}

func (r *Row) cell(attribute string) (Cell, bool) {
	for _, c := range r.Cells {
		if c.Name == attribute {
			return c, true
		}
	}
	return Cell{}, false
}

// unread returns why the content of a row is unknown; empty if every value is text. A
// value that only CloudFormation or another program computes may be an image.
func (r *Row) unread() string {
	if r.Err != nil {
		return "it cannot be read: " + r.Err.Error()
	}
	if r.merge != nil {
		return "it cannot be read: " + r.merge.Error()
	}
	for _, c := range r.Cells {
		switch {
		case c.Err != nil:
			return c.Name + " cannot be read: " + c.Err.Error()
		case c.raw != "" || isReference([]byte(c.Value)):
			return c.Name + " " + c.lack
		}
	}
	return ""
}

// Look returns a cell. If it does not exist, the result has the reason and the
// position of its row or map.
func (m *Mapping) Look(region, attribute string) Cell {
	r, ok := m.Row(region)
	if !ok {
		if merge, ok := m.Row("<<"); ok && merge.Err != nil {
			return Cell{Name: attribute, Pos: merge.Pos, Err: merge.Err, lack: "cannot be read"}
		}
		return Cell{Name: attribute, Pos: m.Pos, lack: "has no row"}
	}
	if r.Err != nil {
		return Cell{Name: attribute, Pos: r.Pos, Err: r.Err, lack: "cannot be read"}
	}
	c, ok := r.cell(attribute)
	switch {
	case !ok && r.merge != nil:
		return Cell{Name: attribute, Pos: r.Pos, Err: r.merge, lack: "cannot be read"}
	case !ok:
		return Cell{Name: attribute, Pos: r.Pos, lack: "is not in the row"}
	}
	return c
}

// Mapping returns the map called name. Every part of it must be unambiguous, as an
// edit requires. If there is no such map, the error lists the maps.
func (t *Template) Mapping(name string) (*Mapping, error) {
	m, err := t.Read(name)
	if err == nil {
		err = m.doubt
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Read is like Mapping, but if a part of the map is ambiguous, only that part has an
// error.
func (t *Template) Read(name string) (*Mapping, error) { return t.read(name, true) }

// read is Read, and without cells only checks them: an edit does not need their values.
func (t *Template) read(name string, cells bool) (*Mapping, error) {
	e, err := t.find(name)
	if err != nil {
		return nil, err
	}
	m := &Mapping{Name: name, Pos: t.pos(e.key.start)}
	doubt := func(err error) {
		if m.doubt == nil {
			m.doubt = err
		}
	}
	if i := t.mappings.val.find(name); i >= 0 && t.mappings.val.entry[i].val.kind == alias {
		doubt(t.aliased(name, t.mappings.val.entry[i].val))
	}
	errs := t.ambiguities(t.mappings.val, "Mappings", doubt)
	if err := errs.of(t.mappings.val.find(name)); err != nil {
		return nil, err
	}
	if placeholder(e.val) {
		return m, nil
	}
	errs = t.ambiguities(e.val, name, doubt)
	m.Rows = make([]Row, 0, len(e.val.entry))
	var read map[*node]int // where a row is that aliases share
	if slices.ContainsFunc(e.val.entry, func(r entry) bool { return r.val.kind == alias }) {
		read = make(map[*node]int)
	}
	for i, r := range e.val.entry {
		row := Row{Region: r.key.text, Pos: t.pos(r.key.start), Err: errs.of(i)}
		full := name + "." + r.key.text
		val := r.val
		if val.kind == alias && val.target != nil {
			val = val.target
		}
		switch shared, known := read[val]; {
		case row.Err != nil:
		case isFunction(r.key.text):
			row.Err = t.errorf(r.key.start, "%s", includes(name, r.key.text))
			doubt(row.Err)
		case placeholder(val):
		case val.kind != object || val.intrinsic():
			row.Err = t.notARow(full, val)
		case known:
			first := &m.Rows[shared]
			row.Cells, row.Err, row.merge = first.Cells, first.Err, first.merge
		default:
			t.readRow(&row, full, val, cells, doubt)
			if read != nil {
				read[val] = i
			}
		}
		m.Rows = append(m.Rows, row)
	}
	return m, nil
}

// readRow reads the cells of a row.
func (t *Template) readRow(row *Row, full string, val *node, cells bool, doubt func(error)) {
	errs := t.ambiguities(val, full, doubt)
	if cells {
		row.Cells = make([]Cell, 0, len(val.entry))
	}
	for i, c := range val.entry {
		switch {
		case isFunction(c.key.text):
			row.Err, row.Cells = t.errorf(c.key.start, "%s", includes(full, c.key.text)), nil
			doubt(row.Err)
			return
		case c.key.isMerge() && t.yaml != nil:
			row.merge = errs.of(i)
		case cells:
			row.Cells = append(row.Cells, t.cell(c, errs.of(i)))
		}
	}
}

func (t *Template) cell(e entry, err error) Cell {
	v := e.val
	if v.kind == alias && v.target != nil {
		v = v.target
	}
	c := Cell{Name: e.key.text, Pos: t.pos(e.key.start), Err: err, lack: lackOf(v)}
	if v.kind == scalar && !v.null && !v.intrinsic() {
		c.Value = v.text
	} else if v.body < v.end && (!v.null || v.intrinsic()) {
		c.raw = string(t.src[v.body:v.end])
		c.lack += t.hint(v)
	}
	return c
}

// locate finds the map called name for an edit, and rejects it if it is ambiguous.
func (t *Template) locate(name string) (entry, error) {
	m, err := t.read(name, false)
	if err == nil {
		err = m.doubt
	}
	if err != nil {
		return entry{}, err
	}
	return t.find(name)
}

// find returns the map called name: a map, or a placeholder for one.
func (t *Template) find(name string) (entry, error) {
	none := entry{}
	if t.mappings.key == nil {
		return none, t.noMappings(name)
	}
	top := t.mappings.val
	if top.customTag() {
		return none, t.errorf(top.start, "%s", includes("Mappings", top.tag))
	}
	if top.null && top.tag == "" {
		return none, t.emptyMappings(name)
	}
	if top.kind != object {
		return none, t.errorf(t.mappings.key.start, "Mappings is not a map; expected a map %s in it", name)
	}
	i := top.find(name)
	if i < 0 {
		var names []string
		for _, e := range top.entry {
			switch {
			case isFunction(e.key.text):
				return none, t.errorf(e.key.start, "Mappings has no map %s here; %s includes maps from another file: edit that file", name, e.key.text)
			case e.key.isMerge() && t.yaml != nil:
				return none, t.errorf(e.key.start, "Mappings has no map %s here, but includes maps with <<, which CloudFormation does not support; write them out", name)
			}
			names = append(names, e.key.text)
		}
		if len(names) == 0 {
			return none, t.emptyMappings(name)
		}
		return none, t.errorf(t.mappings.key.start, "Mappings has no map %s; it has %s: name one of those, or add %s with its first row", name, strings.Join(names, ", "), name)
	}
	e := top.entry[i]
	if e.val.kind == alias && e.val.target != nil {
		e.val = e.val.target
	}
	switch f := e.val.function(); {
	case placeholder(e.val):
	case f != "":
		return none, t.errorf(e.val.start, "%s", includes(name, f))
	case e.val.kind != object:
		return none, t.errorf(e.key.start, "%s is %s; expected a map of regions such as {us-east-1: {AMI: ami-...}}", name, describe(e.val))
	}
	return e, nil
}

// noMappings returns the error for a template without the section Mappings.
func (t *Template) noMappings(name string) error {
	switch {
	case t.nearly == nil:
		return &Error{File: t.name, Msg: fmt.Sprintf("the template has no section Mappings; expected Mappings with a map %s in it", name)}
	case isFunction(t.nearly.text):
		return t.errorf(t.nearly.start, "the template has no section Mappings here; %s includes sections from another file: edit that file", t.nearly.text)
	}
	return t.errorf(t.nearly.start, "the template has no section Mappings, but %q; correct the name: expected Mappings with a map %s in it", t.nearly.text, name)
}

func (t *Template) emptyMappings(name string) error {
	return t.errorf(t.mappings.key.start, "Mappings is empty; add the map %s to it, such as %s: {us-east-1: {AMI: ami-TODO}}", name, name)
}

// resembles reports whether the name of a section explains why Mappings is missing.
func resembles(section string) bool {
	return isFunction(section) || strings.EqualFold(strings.Trim(section, `"' `), "Mappings")
}

func (t *Template) aliased(name string, n *node) error {
	return t.errorf(n.start, "the map %s is an alias (*%s): an edit would change the other place too; write its rows out here", name, n.text)
}

// notARow returns the error for a row that is not a map.
func (t *Template) notARow(name string, n *node) error {
	if f := n.function(); f != "" {
		return t.errorf(n.start, "%s", includes(name, f))
	}
	if n.kind == scalar && isReference([]byte(n.text)) {
		return t.errorf(n.start, "row %s is %q, a dynamic reference; expected a map such as {AMI: ami-...}: write the row out", name, n.text)
	}
	return t.errorf(n.start, "row %s is %s; expected a map such as {AMI: ami-...}: write the row out%s", name, describe(n), t.hint(n))
}

// includes returns why a value under a call of f is not edited.
func includes(name, f string) string {
	switch {
	case strings.HasSuffix(f, "Transform"):
		return fmt.Sprintf("%s is included from elsewhere by %s; edit what it includes, or write it out here", name, f)
	case isFunction(f) || shortForms[f]:
		return fmt.Sprintf("%s has a call of %s, which CloudFormation does not support in Mappings, so it must be meant for a macro; write %s out here", name, f, name)
	}
	return fmt.Sprintf("%s has the tag %s, which CloudFormation does not support, so it must be meant for a macro or a tool; edit what it includes, or remove the tag and write %s out here", name, f, name)
}

// gluedName is a name and its value without a space between, such as
// us-east-1:{AMI.
var gluedName = lazyregexp.New(`^[a-zA-Z0-9.-]+:[^:]`)

// entryErrors are the errors of a map's entries by index; nil if there are none.
type entryErrors []error

func (e entryErrors) of(i int) error {
	if e == nil {
		return nil
	}
	return e[i]
}

// ambiguities finds duplicate keys of n, merge keys and keys that are not text. It
// returns the error of each entry, and passes all errors to doubt.
func (t *Template) ambiguities(n *node, what string, doubt func(error)) entryErrors {
	var errs entryErrors
	fail := func(i int, format string, args ...any) {
		if errs == nil {
			errs = make(entryErrors, len(n.entry))
		}
		errs[i] = t.errorf(n.entry[i].key.start, format, args...)
		doubt(errs[i])
	}
	first := make(map[string]int, len(n.entry))
	for i, e := range n.entry {
		before, twice := first[e.key.text]
		switch {
		case e.key.kind != scalar:
			fail(i, "a key in %s is not text; write the name itself%s", what, t.hint(e.key))
		case e.key.end < 0:
			fail(i, "the end of the name %q in %s is unclear; write it on one line, without an anchor", e.key.text, what)
		case e.key.quote == 0 && strings.HasSuffix(e.key.text, ":") && t.yaml != nil:
			fail(i, "the name %q in %s ends in a colon, because no space follows it; add the space, or quote the name", e.key.text, what)
		case e.key.quote == 0 && t.yaml != nil && strings.Contains(e.key.text, ":") && gluedName.MatchString(e.key.text):
			fail(i, "the name %q in %s contains a value, because no space follows its colon; add the space, or quote the name", e.key.text, what)
		case e.key.isMerge() && t.yaml != nil:
			fail(i, "%s includes keys with <<, which CloudFormation does not support; write them out", what)
		case twice:
			fail(i, "%s has %s a second time, after line %d: readers may use either one; keep one of them",
				what, e.key.text, t.pos(n.entry[before].key.start).Line)
			errs[before] = errs[i]
		default:
			first[e.key.text] = i
		}
	}
	return errs
}

// placeholder reports whether a value stands for a future one.
func placeholder(n *node) bool {
	if n.null && !n.intrinsic() || n.reference() {
		return true
	}
	switch {
	case n.intrinsic():
	case n.kind == scalar:
		return IsPlaceholder(n.text)
	case n.kind == object:
		return len(n.entry) == 0
	}
	return false
}
