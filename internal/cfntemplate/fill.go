// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shortlist"
)

// Image is an AMI and its cell.
type Image struct{ Region, Attribute, ID string }

// Stale selects how to handle the rows that a build did not fill.
type Stale string

// The values of Stale.
const (
	StaleKeep   Stale = "keep"   // leave the rows unchanged
	StaleFail   Stale = "fail"   // return an error that lists the rows
	StaleRemove Stale = "remove" // remove the rows
)

// EveryRow in Policy.Required stands for every region that has a row, in the
// partitions of the images.
const EveryRow = "rows"

// Policy holds the requirements that Fill enforces.
type Policy struct {
	Mapping string
	// Required are the regions that must have an image in each attribute that
	// is filled; EveryRow adds the regions that have a row. A new row in a required
	// region must have the attributes that most rows have.
	Required []string
	// Stale applies to rows of the images' partitions. Rows of other partitions,
	// and rows that are not named after a region, are never touched. A row with an
	// image in an attribute that is not filled is not removed. Default: StaleKeep.
	Stale Stale
	// New are the attributes that may be added if no row has them.
	New []string
	// Later are attributes that other builds fill; a new row may lack them.
	Later []string
	// InPlace is true if the template itself is written. Then a row is not removed if
	// another build may fill it: its other cells would be lost.
	InPlace bool
	// Options are the names of these fields in errors.
	Options Options
}

// Options are the user's names for a policy's fields.
type Options struct{ Required, Stale, New, Attribute string }

// Report is the result of Fill.
type Report struct {
	Changes []Change
	Notes   []string // other information for the user
}

// Fill writes images into a map. It is Apply with a policy: if the result would not
// meet the policy, Fill returns an error and no bytes.
func (t *Template) Fill(images []Image, p Policy) ([]byte, *Report, error) {
	m, err := t.Mapping(p.Mapping)
	if err != nil {
		return nil, nil, err
	}
	f := &fill{Policy: p, t: t, m: m, image: map[[2]string]bool{}, regions: map[string]bool{},
		attributes: map[string]bool{}, partitions: map[string]bool{}, removed: map[string]bool{}}
	for _, i := range images {
		if !IsRegion(i.Region) || !IsAMI(i.ID) {
			return nil, nil, &Error{File: t.name, Msg: fmt.Sprintf("image %q in region %q; expected an image such as ami-0123456789abcdef0 in a region such as us-east-1", i.ID, i.Region)}
		}
		f.edits = append(f.edits, Edit{Region: i.Region, Attribute: i.Attribute, Value: i.ID})
		f.image[[2]string{i.Region, i.Attribute}] = true
		f.regions[i.Region], f.attributes[i.Attribute], f.partitions[region.Partition(i.Region)] = true, true, true
	}
	sort.SliceStable(f.edits, func(i, j int) bool { return f.edits[i].Region < f.edits[j].Region })
	for _, check := range []func() error{f.columns, f.stale, f.required, f.newRows, f.newColumns} {
		if err := check(); err != nil {
			return nil, nil, err
		}
	}
	out, changes, err := t.Apply(p.Mapping, f.edits...)
	if err != nil {
		return nil, nil, err
	}
	return out, &Report{changes, f.notes}, nil
}

// fill is one call of Fill.
type fill struct {
	Policy
	t          *Template
	m          *Mapping
	edits      []Edit
	image      map[[2]string]bool // region, attribute: true if filled
	regions    map[string]bool    // of the images
	attributes map[string]bool
	partitions map[string]bool
	removed    map[string]bool // rows
	notes      []string
}

func (f *fill) errorf(format string, args ...any) error {
	return &Error{File: f.t.name, Pos: f.m.Pos, Msg: fmt.Sprintf(format, args...)}
}

func (f *fill) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// ours reports whether a row belongs to the images' partitions.
func (f *fill) ours(name string) bool { return IsRegion(name) && f.partitions[region.Partition(name)] }

// columns rejects an attribute that no row has, unless it may be added.
func (f *fill) columns() error {
	for _, a := range slices.Sorted(maps.Keys(f.attributes)) {
		if slices.Contains(f.New, a) {
			continue
		}
		if err := f.m.CheckAttribute(a, f.Options); err != nil {
			return &Error{File: f.t.name, Pos: f.m.Pos, Msg: err.Error()}
		}
	}
	return nil
}

// stale handles the rows that are not filled.
func (f *fill) stale() error {
	var stale []string
	for _, r := range f.m.Rows {
		if f.regions[r.Region] || !f.ours(r.Region) {
			continue
		}
		stale = append(stale, r.Region)
		if f.Stale != StaleRemove {
			continue
		}
		var others []string
		for _, c := range r.Cells {
			if c.HasImage() && !f.attributes[c.Name] {
				others = append(others, c.Name)
			}
		}
		if why := r.unread(); why != "" {
			f.note("row %s is not removed: %s", r.Region, why)
			continue
		}
		if later := r.among(f.Later); f.InPlace && len(later) > 0 {
			f.note("row %s is not removed: another build may fill %s", r.Region, strings.Join(later, ", "))
			continue
		}
		if len(others) > 0 {
			f.note("row %s is not removed: it has an image in %s, which was not filled", r.Region, strings.Join(others, ", "))
			continue
		}
		f.removed[r.Region] = true
		f.edits = append(f.edits, Edit{Region: r.Region, Remove: true})
	}
	if f.Stale == StaleFail && len(stale) > 0 {
		return f.errorf("%s has rows that were not filled: %s; fill them too, or set %s to keep or remove",
			f.Mapping, strings.Join(stale, ", "), f.Options.Stale)
	}
	return nil
}

// among returns the attributes of a row that are in a list.
func (r *Row) among(list []string) []string {
	var found []string
	for _, c := range r.Cells {
		if slices.Contains(list, c.Name) {
			found = append(found, c.Name)
		}
	}
	return found
}

// isRequired reports whether the policy requires an image in a region. row is true
// if the region has, or gets, a row.
func (f *fill) isRequired(region string, row bool) bool {
	return slices.Contains(f.Required, region) || row && f.ours(region) && !f.removed[region] && slices.Contains(f.Required, EveryRow)
}

// required checks that each required region has an image.
func (f *fill) required() error {
	need := make(map[string]bool)
	var left []string
	for _, r := range f.m.Rows {
		if f.isRequired(r.Region, true) {
			need[r.Region] = true
		} else if !f.ours(r.Region) {
			left = append(left, r.Region)
		}
	}
	for _, r := range f.Required {
		if r != EveryRow {
			need[r] = true
		}
	}
	var missing []string
	for _, r := range slices.Sorted(maps.Keys(need)) {
		for _, a := range slices.Sorted(maps.Keys(f.attributes)) {
			if f.image[[2]string{r, a}] {
				continue
			}
			c := f.m.Look(r, a)
			if c.Err != nil {
				return c.Err
			}
			if f.removed[r] {
				missing = append(missing, fmt.Sprintf("%s.%s (the row would be removed)", r, a))
			} else if !c.HasImage() {
				missing = append(missing, fmt.Sprintf("%s.%s (%s)", r, a, c.Lack()))
			}
		}
	}
	if len(missing) > 0 {
		return f.errorf("%s would lack an image in %s; %s requires it: fill these regions too, or remove them from %s",
			f.Mapping, strings.Join(missing, ", "), f.Options.Required, f.Options.Required)
	}
	if len(left) > 0 && slices.Contains(f.Required, EveryRow) {
		f.note("%s %s skips rows outside the partition of these images (%s): %s",
			f.Options.Required, EveryRow, strings.Join(slices.Sorted(maps.Keys(f.partitions)), ", "), strings.Join(left, ", "))
	}
	return nil
}

// siblings counts the attributes of the rows that have any, and these rows. Rows
// that will be removed count too: stacks were written for them.
func (f *fill) siblings(of func(region string) bool) (attributes map[string]int, rows int) {
	attributes = make(map[string]int)
	for _, r := range f.m.Rows {
		if len(r.Cells) == 0 || !of(r.Region) {
			continue
		}
		rows++
		for _, c := range r.Cells {
			attributes[c.Name]++
		}
	}
	return attributes, rows
}

// newColumns notes the rows that do not get a new attribute that other rows get.
func (f *fill) newColumns() error {
	for _, a := range slices.Sorted(maps.Keys(f.attributes)) {
		if !slices.Contains(f.New, a) {
			continue
		}
		var without []string
		for _, r := range f.m.Rows {
			if _, has := r.cell(a); !has && f.ours(r.Region) && !f.removed[r.Region] && len(r.Cells) > 0 && !f.image[[2]string{r.Region, a}] {
				without = append(without, r.Region)
			}
		}
		if len(without) > 0 {
			f.note("%s: these rows get no %s, because no image fills it there: %s; a stack that reads it fails there", f.Mapping, a, shortlist.Join(without))
		}
	}
	return nil
}

// newRows finds new rows that lack attributes of most rows: a stack that reads such
// an attribute fails in that region.
func (f *fill) newRows() error {
	count, rows := f.siblings(f.ours)
	if rows == 0 {
		count, rows = f.siblings(IsRegion) // the first row of its partition
	}
	var lacks, demanded []string
	for _, region := range slices.Sorted(maps.Keys(f.regions)) {
		row, there := f.m.Row(region)
		var names []string
		for _, name := range slices.Sorted(maps.Keys(count)) {
			if _, has := row.cell(name); has || 2*count[name] <= rows || f.image[[2]string{region, name}] {
				continue
			}
			names = append(names, name)
		}
		if len(names) == 0 {
			continue
		}
		lack := region + " without " + strings.Join(names, ", ")
		lacks = append(lacks, lack)
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(f.Later, name) })
		if (!there || len(row.Cells) == 0) && f.isRequired(region, true) && len(names) > 0 {
			demanded = append(demanded, lack)
		}
	}
	if len(demanded) > 0 {
		return f.errorf("%s would have new rows that lack attributes of the other rows: %s; %s requires complete rows: add these rows to the template by hand, with every attribute, then fill them",
			f.Mapping, strings.Join(demanded, "; "), f.Options.Required)
	}
	if len(lacks) > 0 {
		f.note("%s has rows that lack attributes of most other rows: %s; a stack that reads them fails there, so add them to these rows", f.Mapping, strings.Join(lacks, "; "))
	}
	return nil
}

// Attributes returns the attributes of the rows, most frequent first.
func (m *Mapping) Attributes() []string {
	count := make(map[string]int)
	var names []string
	for _, r := range m.Rows {
		for _, c := range r.Cells {
			if count[c.Name]++; count[c.Name] == 1 {
				names = append(names, c.Name)
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return count[b] - count[a] })
	return names
}

// CheckAttribute rejects an attribute that no row has, if the rows have others: the
// template would never read it.
func (m *Mapping) CheckAttribute(name string, o Options) error {
	names := m.Attributes()
	if len(names) == 0 || slices.Contains(names, name) {
		return nil
	}
	hint := ""
	if near := didyoumean.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s? ", near)
	}
	return fmt.Errorf("%s: no row of %s has %q, the rows have %s; %sset %s to one of these, or list %s in %s to add it to the map",
		o.Attribute, m.Name, name, strings.Join(names, ", "), hint, o.Attribute, name, o.New)
}
