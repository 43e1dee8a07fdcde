// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Edit is one change of a map. With Value it sets a cell, and adds the cell and
// its row if they are missing. With Remove it removes the row; Attribute and
// Value must then be empty.
type Edit struct {
	Region, Attribute, Value string
	Remove                   bool
}

// Change is the change of one cell by an edit. Without Attribute, a row without
// cells was removed.
type Change struct {
	Region, Attribute string
	Old               string // empty if the cell did not exist or was not text
	New               string // empty if the cell was removed
}

// String returns `us-east-1.AMI: ami-old -> ami-new`.
func (c Change) String() string {
	or := func(s, none string) string {
		if s == "" {
			return none
		}
		return s
	}
	if c.Attribute == "" {
		return c.Region + ": (no cells) -> (removed)"
	}
	return fmt.Sprintf("%s.%s: %s -> %s", c.Region, c.Attribute, or(c.Old, "(none)"), or(c.New, "(removed)"))
}

// splice replaces src[start:end] with text.
type splice struct {
	start, end int
	text       string
}

// Apply makes edits in the map called mapping. It returns the template's new bytes,
// verified, and the changed cells in the order of the edits. If nothing changes, it
// returns the original bytes. On error it returns no bytes.
func (t *Template) Apply(mapping string, edits ...Edit) ([]byte, []Change, error) {
	m, err := t.locate(mapping)
	if err != nil {
		return nil, nil, err
	}
	rows, err := t.group(mapping, edits)
	if err != nil {
		return nil, nil, err
	}
	if out, changes, both, err := t.applyInTurn(mapping, edits); both {
		return out, changes, err
	}
	p := &plan{t: t, name: mapping, m: m}
	var added []rowEdit
	var removed []int
	for _, r := range rows {
		i := m.val.find(r.region)
		switch {
		case i < 0 && r.remove:
			return nil, nil, t.errorf(m.key.start, "%s has no row %s to remove", mapping, r.region)
		case i < 0:
			added = append(added, r)
			for _, c := range r.cells {
				p.changes = append(p.changes, Change{r.region, c.Attribute, "", c.Value})
			}
		case r.remove:
			removed = append(removed, i)
		default:
			err = p.row(m.val.entry[i], r)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if len(added) > 0 {
		if err := p.addRows(added); err != nil {
			return nil, nil, err
		}
	}
	if len(removed) > 0 {
		if err := p.remove(removed); err != nil {
			return nil, nil, err
		}
	}
	if len(p.splices) == 0 {
		return t.src, nil, nil
	}
	out, err := p.splice()
	if err != nil {
		return nil, nil, err
	}
	if err := t.checkLimits(m, rows, len(out)); err != nil {
		return nil, nil, err
	}
	if err := t.prove(out, p.splices, mapping, rows); err != nil {
		return nil, nil, err
	}
	return out, p.changes, nil
}

// applyInTurn applies the edits that set before those that remove, so that the last
// row can be replaced by a new one. It returns false if the edits are all of one
// kind.
func (t *Template) applyInTurn(mapping string, edits []Edit) ([]byte, []Change, bool, error) {
	var sets, removes []Edit
	for _, e := range edits {
		if e.Remove {
			removes = append(removes, e)
		} else {
			sets = append(sets, e)
		}
	}
	if len(sets) == 0 || len(removes) == 0 {
		return nil, nil, false, nil
	}
	if _, err := t.group(mapping, edits); err != nil {
		return nil, nil, true, err
	}
	out, changes, err := t.Apply(mapping, sets...)
	if err != nil {
		return nil, nil, true, err
	}
	next, err := Parse(t.name, out)
	if err != nil {
		return nil, nil, true, err
	}
	out, removed, err := next.Apply(mapping, removes...)
	if err != nil {
		return nil, nil, true, err
	}
	return out, append(changes, removed...), true, nil
}

// rowEdit is the edit of one row.
type rowEdit struct {
	region string
	remove bool
	cells  []Edit
}

// group checks the edits and groups them by row.
func (t *Template) group(mapping string, edits []Edit) ([]rowEdit, error) {
	var rows []rowEdit
	at := make(map[string]int)
	for _, e := range edits {
		if err := checkEdit(mapping, e); err != nil {
			return nil, &Error{File: t.name, Msg: err.Error()}
		}
		i, seen := at[e.Region]
		if !seen {
			i = len(rows)
			at[e.Region] = i
			rows = append(rows, rowEdit{region: e.Region, remove: e.Remove})
		}
		r := &rows[i]
		if seen && (r.remove || e.Remove) {
			return nil, &Error{File: t.name, Msg: fmt.Sprintf("row %s cannot be removed and edited at the same time", e.Region)}
		}
		twice := false
		for _, c := range r.cells {
			if c.Attribute != e.Attribute {
				continue
			}
			if c.Value != e.Value {
				return nil, &Error{File: t.name, Msg: fmt.Sprintf("two values for %s.%s: %s and %s; expected one image for a region and attribute", e.Region, e.Attribute, c.Value, e.Value)}
			}
			twice = true
		}
		if !e.Remove && !twice {
			r.cells = append(r.cells, e)
		}
	}
	return rows, nil
}

// plan collects the splices of one Apply.
type plan struct {
	t       *Template
	name    string
	m       entry
	splices []splice
	changes []Change
}

func (p *plan) put(start, end int, text string) {
	p.splices = append(p.splices, splice{start, end, text})
}

// row edits an existing row.
func (p *plan) row(row entry, edit rowEdit) error {
	t, name := p.t, p.name+"."+edit.region
	if row.val.kind == alias {
		return t.errorf(row.val.start, "row %s is an alias (*%s): an edit would change another row too; write the row out", name, row.val.text)
	}
	for _, n := range []*node{t.mappings.val, p.m.val, row.val} {
		if err := t.unshared(n, false); err != nil {
			return err
		}
	}
	if row.val.kind != object || len(row.val.entry) == 0 || row.val.intrinsic() {
		if !placeholder(row.val) {
			return t.notARow(name, row.val)
		}
		if e := t.unfilled(row.val); e != nil {
			return t.errorf(e.at, "row %s is %q, which looks like %s", name, e.text, e.advice())
		}
		for _, c := range edit.cells {
			p.changes = append(p.changes, Change{edit.region, c.Attribute, "", c.Value})
		}
		return p.fill(row, func(block bool, indent string) string {
			return p.cells(row.key, edit.cells, block, indent)
		}, p.modelRow(row.key))
	}
	var added []Edit
	for _, c := range edit.cells {
		i := row.val.find(c.Attribute)
		if i < 0 {
			added = append(added, c)
			p.changes = append(p.changes, Change{edit.region, c.Attribute, "", c.Value})
			continue
		}
		if err := p.cell(name+"."+c.Attribute, row, row.val.entry[i], c); err != nil {
			return err
		}
	}
	if len(added) == 0 {
		return nil
	}
	return p.addEntries(row.val, func(at style) []string {
		var texts []string
		for _, c := range added {
			texts = append(texts, at.entry(c.Attribute, p.value(row.val, c.Value)))
		}
		return texts
	})
}

// cell replaces a value.
func (p *plan) cell(name string, row, cell entry, edit Edit) error {
	t, v := p.t, cell.val
	old := ""
	if v.kind == scalar && !v.null && !v.intrinsic() {
		old = v.text
		if holds(v, edit.Value) {
			return nil
		}
	}
	if err := t.unshared(v, true); err != nil {
		return err
	}
	quote := v.quote
	switch {
	case v.kind == alias:
		return t.errorf(v.start, "%s is an alias (*%s); write the value itself", name, v.text)
	case v.kind == scalar && v.quote == '|':
		return t.errorf(v.start, "%s is a block scalar; write the value on the line of its name", name)
	case v.end < 0:
		return t.errorf(v.start, "%s spans several lines; write it on one line", name)
	case v.intrinsic() && !v.reference():
		return t.errorf(v.start, "%s", includes(name, v.function()))
	case v.kind != scalar && !v.intrinsic():
		return t.errorf(v.start, "%s is %s; expected one value%s", name, describe(v), t.hint(v))
	case v.kind != scalar || v.null || t.yaml == nil:
		quote = p.quoteOf(row.val)
	}
	if e := t.unfilled(v); e != nil {
		return t.errorf(e.at, "%s is %q, which looks like %s", name, e.text, e.advice())
	}
	if t.braces && quote == 0 && cell.key.quote == '"' {
		quote = '"' // it may be JSON once other placeholders are filled in
	}
	p.changes = append(p.changes, Change{edit.Region, edit.Attribute, old, edit.Value})
	text := quoted(edit.Value, quote)
	if v.start == v.end {
		if v.end > cell.key.end && t.src[v.end-1] == ':' {
			text = " " + text
		} else if v.end == cell.key.end {
			text = ": " + text
		} else {
			return t.errorf(v.start, "%s has no value, but other text follows its name; write \"\" as its value", name)
		}
		p.put(v.end, v.end, text)
		return nil
	}
	from := v.body
	if v.tag != v.keptTag() {
		from = v.start // the tag was part of the old value
	}
	if v.start != v.end && from == v.end { // only a tag or an anchor
		text = " " + text
	}
	p.put(from, v.end, text)
	return nil
}

// holds reports whether a cell already has the value.
func holds(v *node, value string) bool {
	return v.kind == scalar && v.str && v.text == value && !v.intrinsic()
}

func describe(n *node) string {
	switch {
	case n.kind == list:
		return "a list"
	case n.kind == object:
		return "a map"
	case n.null:
		return "null"
	}
	return fmt.Sprintf("%q", n.text)
}

// remove removes rows, with their lines in block style and with their commas in
// flow style. Comment lines between rows stay.
func (p *plan) remove(indices []int) error {
	t, rows := p.t, p.m.val.entry
	for _, n := range []*node{p.m.val, t.mappings.val} {
		if err := t.unshared(n, false); err != nil {
			return err
		}
	}
	gone := make([]bool, len(rows)+1)
	for _, i := range indices {
		gone[i] = true
		row := rows[i]
		if err := errors.Join(t.unshared(row.key, true), t.unshared(row.val, true)); err != nil {
			return err
		}
		if t.contentEnd(row) < 0 {
			return t.errorf(row.key.start, "row %s.%s ends in a multi-line value; remove it by hand", p.name, row.key.text)
		}
		p.changes = append(p.changes, removal(row)...)
	}
	if len(indices) == len(rows) {
		return t.errorf(p.m.key.start, "%s would have no rows left, and CloudFormation requires one; remove the map by hand", p.name)
	}
	if p.m.val.flow {
		return p.removeFlow(gone)
	}
	for i, row := range rows {
		if !gone[i] {
			continue
		}
		start := max(t.bom, t.lineStart(row.key.start))
		if strings.TrimLeft(string(t.src[start:row.key.start]), " ") != "" {
			return t.errorf(row.key.start, "row %s.%s does not start its line; remove it by hand", p.name, row.key.text)
		}
		stop := t.lineEnd(t.contentEnd(row))
		if n := len(p.splices); n > 0 && p.splices[n-1].end == start {
			start = p.splices[n-1].start
			p.splices = p.splices[:n-1]
		}
		if stop < len(t.src) {
			stop += lineBreak(t.src, stop, true)
		} else if start > t.bom && t.endKnown(rows, gone) {
			// The last line has no line break. Remove the one before it, so that the
			// file still ends without one, unless it belongs to a block scalar.
			start = t.lineEnd(start - 1)
		}
		p.put(start, stop, "")
	}
	return nil
}

// removal lists what a removed row contained.
func removal(row entry) []Change {
	if row.val.kind != object || len(row.val.entry) == 0 || row.val.intrinsic() {
		return []Change{{Region: row.key.text}}
	}
	var changes []Change
	for _, c := range row.val.entry {
		change := Change{Region: row.key.text, Attribute: c.key.text}
		if c.val.kind == scalar && !c.val.null && !c.val.intrinsic() {
			change.Old = c.val.text
		}
		changes = append(changes, change)
	}
	return changes
}

// endKnown reports whether the end of the last remaining row is known.
func (t *Template) endKnown(rows []entry, gone []bool) bool {
	for i := len(rows) - 1; i >= 0; i-- {
		if !gone[i] {
			return t.contentEnd(rows[i]) >= 0
		}
	}
	return true
}

// removeFlow removes runs of rows, each with one adjacent comma.
func (p *plan) removeFlow(gone []bool) error {
	rows := p.m.val.entry
	for i := 0; i < len(rows); i++ {
		if !gone[i] {
			continue
		}
		from := i
		for gone[i+1] {
			i++
		}
		name, at := p.name+"."+rows[from].key.text, rows[from].key.start
		var err error
		if from > 0 {
			before := rows[from-1]
			err = p.cut(before.val.end, rows[i].val.end, name, at)
			if err == nil && before.val.start == before.val.end && before.val.end > before.key.end {
				p.splices[len(p.splices)-1].text = " " // `a:}` would be read as a name
			}
		} else {
			err = p.cut(rows[0].key.start, rows[i+1].key.start, name, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cut removes a flow style row and the comma between it and its neighbour.
func (p *plan) cut(from, to int, name string, at int) error {
	if from < 0 || p.t.yaml != nil && strings.Contains(string(p.t.src[from:to]), "#") {
		return p.t.errorf(at, "there is a comment beside row %s; remove the row by hand", name)
	}
	p.put(from, to, "")
	return nil
}

// contentEnd returns the end of the row's last value; -1 if unknown.
func (t *Template) contentEnd(row entry) int {
	if row.val.end >= 0 && row.val.end < row.key.end {
		return row.key.end
	}
	return row.val.end
}

// splice applies the plan.
func (p *plan) splice() ([]byte, error) {
	sort.SliceStable(p.splices, func(i, j int) bool { return p.splices[i].start < p.splices[j].start })
	src := p.t.src
	size := len(src)
	for _, s := range p.splices {
		size += len(s.text)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, s := range p.splices {
		if s.start < at {
			return nil, p.t.errorf(s.start, "two edits overlap here; make them one after the other")
		}
		out = append(append(out, src[at:s.start]...), s.text...)
		at = s.end
	}
	return append(out, src[at:]...), nil
}
