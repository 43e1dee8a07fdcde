// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Update fills the template called name and returns the new content of the file
// called target. current is the existing content of target; nil if it does not exist
// or is the template itself.
func Update(name string, template []byte, target string, current []byte, images []Image, p Policy) ([]byte, *Report, error) {
	t, err := Parse(name, template)
	if err != nil {
		return nil, nil, err
	}
	var note string
	if current != nil {
		output, err := Parse(target, current)
		if err != nil {
			note = fmt.Sprintf("%s is written from %s alone: %s", target, name, err)
		} else if t, note, err = resume(t, output, images, p); err != nil {
			return nil, nil, err
		}
	}
	out, report, err := t.Fill(images, p)
	if err != nil {
		return nil, nil, err
	}
	if note != "" {
		report.Notes = append([]string{note}, report.Notes...)
	}
	return out, report, nil
}

// resume returns the template to fill if the output already exists, so that builds
// with the same output add to each other. It depends only on the two texts.
//
// If output differs from template only in its images, base is output. If this build
// fills a row that another one has removed there, base is template with the images
// of output, so that the row has all its cells again. If template has changed since,
// base is template, with the images of output in the cells for which template has
// none. note lists the images of other builds that were kept or replaced.
func resume(template, output *Template, images []Image, p Policy) (base *Template, note string, err error) {
	own := make(map[[2]string]bool)
	for _, i := range images {
		own[[2]string{i.Region, i.Attribute}] = true
	}
	from, err := template.Mapping(p.Mapping)
	if err != nil {
		return nil, "", err
	}
	to, err := output.Mapping(p.Mapping)
	if err != nil {
		return template, fmt.Sprintf("%s is written from %s alone: %s", output.name, template.name, err), nil
	}
	same := output.fills(template, from, to, p)
	removed := removedRows(from, to, images)
	if same && len(removed) == 0 {
		kept := names{}
		to.each(func(region string, c Cell) {
			if old := from.Look(region, c.Name); !own[[2]string{region, c.Name}] && c.HasImage() && (!old.HasImage() || old.Value != c.Value) {
				kept.add(region, c.Name)
			}
		})
		if len(kept) > 0 {
			note = fmt.Sprintf("%s keeps the images of other builds: %s", output.name, kept)
		}
		return output, note, nil
	}
	var edits []Edit
	kept, dropped := names{}, names{}
	to.each(func(region string, c Cell) {
		old := from.Look(region, c.Name)
		switch {
		case !c.HasImage() || own[[2]string{region, c.Name}] || old.HasImage() && old.Value == c.Value:
		case old.HasImage() && !same:
			dropped.add(region, c.Name)
		default:
			kept.add(region, c.Name)
			edits = append(edits, Edit{Region: region, Attribute: c.Name, Value: c.Value})
		}
	})
	note = fmt.Sprintf("%s has changed since %s was written; %s is rebuilt from it", template.name, output.name, output.name)
	if same {
		note = fmt.Sprintf("%s has no row for %s any more; it is rebuilt from %s", output.name, strings.Join(removed, ", "), template.name)
	}
	if len(dropped) > 0 {
		note += fmt.Sprintf("; the template's own images replace those of other builds in %s", dropped)
	}
	if len(edits) == 0 {
		return template, note, nil
	}
	src, _, err := template.Apply(p.Mapping, edits...)
	if err != nil {
		return nil, "", fmt.Errorf("keeping the images that %s has: %w; delete %s to start from the template", output.name, err, output.name)
	}
	base, err = Parse(template.name, src)
	return base, fmt.Sprintf("%s; it keeps the images of other builds: %s", note, kept), err
}

// removedRows returns the regions of images that have a row in from only.
func removedRows(from, to *Mapping, images []Image) []string {
	var removed []string
	for _, i := range images {
		_, before := from.Row(i.Region)
		_, now := to.Row(i.Region)
		if before && !now && !slices.Contains(removed, i.Region) {
			removed = append(removed, i.Region)
		}
	}
	slices.Sort(removed)
	return removed
}

// fills reports whether t is template with images filled in, and rows removed if p
// allows it.
func (t *Template) fills(template *Template, from, to *Mapping, p Policy) bool {
	section := t.to > 0 && template.to > 0
	a, okA := template.zone(p.Mapping, section)
	b, okB := t.zone(p.Mapping, section)
	if !okA || !okB || (t.yaml == nil) != (template.yaml == nil) ||
		!bytes.Equal(template.src[:a.start], t.src[:b.start]) || !bytes.Equal(template.src[a.end:], t.src[b.end:]) {
		return false
	}
	removes := p.Stale == StaleRemove
	if !removes && t.yaml != nil && !inOrder(comments(template.src[a.start:a.end]), comments(t.src[b.start:b.end])) {
		return false
	}
	for _, r := range from.Rows {
		row, ok := to.Row(r.Region)
		if !ok && removes {
			continue
		}
		if !ok || row.Err != nil || r.Err != nil {
			return false
		}
		for _, c := range r.Cells {
			now, ok := row.cell(c.Name)
			if !ok || c.HasImage() && !now.HasImage() || !now.HasImage() && (now.Value != c.Value || now.raw != c.raw || now.lack != c.lack) {
				return false
			}
		}
	}
	filled := true
	to.each(func(region string, c Cell) {
		if r, ok := from.Row(region); ok {
			_, ok = r.cell(c.Name)
			filled = filled && (ok || c.HasImage())
		} else {
			filled = filled && c.HasImage()
		}
	})
	return filled
}

// zone returns the part of the text that filling a map can change.
func (t *Template) zone(mapping string, section bool) (splice, bool) {
	top := t.mappings.val
	i := top.find(mapping)
	e := top.entry[i]
	z := splice{start: e.key.start, end: e.val.end}
	if z.end < e.key.end && e.val.end >= 0 {
		z.end = e.key.end
	}
	if section && !top.flow {
		z.end = t.to
		if i+1 < len(top.entry) {
			z.end = t.lineStart(top.entry[i+1].key.start)
		}
	}
	return z, z.end >= z.start
}

// each calls f for every cell that can be read.
func (m *Mapping) each(f func(region string, c Cell)) {
	for _, r := range m.Rows {
		for _, c := range r.Cells {
			f(r.Region, c)
		}
	}
}

// comments returns the text from the first # of each line.
func comments(src []byte) []string {
	var all []string
	for _, line := range bytes.FieldsFunc(src, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if i := bytes.IndexByte(line, '#'); i >= 0 {
			all = append(all, string(line[i:]))
		}
	}
	return all
}

// inOrder reports whether whole contains all of part, in the same order.
func inOrder(part, whole []string) bool {
	for _, s := range whole {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// names are regions by attribute.
type names map[string][]string

func (n names) add(region, attribute string) { n[attribute] = append(n[attribute], region) }

func (n names) String() string {
	var all []string
	for attribute, regions := range n {
		sort.Strings(regions)
		all = append(all, attribute+" in "+strings.Join(regions, ", "))
	}
	sort.Strings(all)
	return strings.Join(all, "; ")
}
