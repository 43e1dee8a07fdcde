// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"fmt"
	"sort"
	"strings"
)

// Image is an AMI and the cell that it belongs in.
type Image struct{ Region, Attribute, ID string }

// Stale says what becomes of the rows that a build did not fill.
type Stale string

const (
	StaleKeep   Stale = "keep"   // they stay as they are
	StaleFail   Stale = "fail"   // they are an error
	StaleRemove Stale = "remove" // they are taken out
)

// EveryRow in Policy.Required stands for every region that has a row.
const EveryRow = "rows"

// Policy is what Fill makes sure of.
type Policy struct {
	Mapping string
	// Required are the regions that must have an image, for each attribute
	// that is filled; EveryRow among them adds those that have a row.
	Required []string
	// Stale is for rows of the images' partitions; rows of other partitions,
	// and rows that are not named by a region, are never touched. Empty means
	// StaleKeep.
	Stale Stale
}

// Fill puts images into a map, by region. It is Apply with a policy: either
// every demand of the policy is met afterwards, or there is an error and no
// bytes.
func (t *Template) Fill(images []Image, p Policy) ([]byte, []Change, error) {
	m, err := t.Mapping(p.Mapping)
	if err != nil {
		return nil, nil, err
	}
	var edits []Edit
	filled := make(map[string]bool)     // regions
	value := make(map[[2]string]string) // region, attribute: image
	attributes := make(map[string]bool) // that are filled
	partitions := make(map[string]bool) // of the images
	for _, i := range images {
		if !IsRegion(i.Region) || !IsAMI(i.ID) {
			return nil, nil, &Error{File: t.name, Msg: fmt.Sprintf("image %q in region %q; expected such as ami-0123456789abcdef0 in us-east-1", i.ID, i.Region)}
		}
		edits = append(edits, Edit{Region: i.Region, Attribute: i.Attribute, Value: i.ID})
		filled[i.Region], attributes[i.Attribute], partitions[Partition(i.Region)] = true, true, true
		value[[2]string{i.Region, i.Attribute}] = i.ID
	}
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].Region < edits[j].Region })

	required := make(map[string]bool)
	for _, r := range p.Required {
		if r != EveryRow {
			required[r] = true
		}
	}
	var stale []string
	for _, r := range m.Rows {
		if !filled[r.Region] && IsRegion(r.Region) && partitions[Partition(r.Region)] {
			stale = append(stale, r.Region)
			if p.Stale == StaleRemove {
				edits = append(edits, Edit{Region: r.Region, Remove: true})
				continue
			}
		}
		for _, name := range p.Required {
			if name == EveryRow && IsRegion(r.Region) && partitions[Partition(r.Region)] {
				required[r.Region] = true
			}
		}
		for _, c := range r.Cells {
			if k := [2]string{r.Region, c.Name}; value[k] == "" && !c.Placeholder {
				value[k] = c.Value
			}
		}
	}
	if p.Stale == StaleRemove {
		for _, r := range stale {
			for a := range attributes {
				delete(value, [2]string{r, a})
			}
		}
	}
	var missing []string
	for r := range required {
		for a := range attributes {
			if !IsAMI(value[[2]string{r, a}]) {
				missing = append(missing, r+"."+a)
			}
		}
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		return nil, nil, &Error{File: t.name, Pos: m.Pos, Msg: fmt.Sprintf(
			"%s would lack an image in %s; required_regions demands it: build for these regions too, or leave them out of required_regions", p.Mapping, strings.Join(missing, ", "))}
	}
	if p.Stale == StaleFail && len(stale) > 0 {
		return nil, nil, &Error{File: t.name, Pos: m.Pos, Msg: fmt.Sprintf(
			"%s has rows that this build did not fill: %s; build for them too, or set stale_regions to keep or remove", p.Mapping, strings.Join(stale, ", "))}
	}
	return t.Apply(p.Mapping, edits...)
}

// Partition is the partition of a region, told by its name, from the
// partitions' published region patterns.
func Partition(region string) string {
	for _, p := range []struct{ prefix, name string }{
		{"cn-", "aws-cn"},
		{"us-gov-", "aws-us-gov"},
		{"us-isob-", "aws-iso-b"},
		{"us-isof-", "aws-iso-f"},
		{"eu-isoe-", "aws-iso-e"},
		{"us-iso-", "aws-iso"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}
