// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shortlist"
)

// Image is the image that stacks of a region launch.
type Image struct{ Region, Attribute, ID string }

// Images returns the images of every published region. Its error names the
// attributes without an image, and their regions.
func (p *Plan) Images() ([]Image, error) {
	if _, err := p.mapping(); err != nil {
		return nil, err
	}
	list, missing := p.images()
	return list, errors.Join(missing...)
}

// images returns the images, and an error for each attribute and use that lacks
// some, with all of its regions.
func (p *Plan) images() (list []Image, missing []error) {
	m, err := p.mapping()
	if err != nil {
		return nil, []error{err}
	}
	type gap struct {
		attribute, uses string
		column          bool // only this attribute lacks images, in every region
	}
	has := func(region, attribute string) bool { cell, _ := m.Cell(region, attribute); return cell.HasImage() }
	var gaps []gap
	first, regions := map[gap]string{}, map[gap][]string{}
	for _, region := range p.regions() {
		row := slices.ContainsFunc(p.Attributes, func(a string) bool { return has(region, a) })
		for _, attribute := range p.Attributes {
			cell, found := m.Cell(region, attribute)
			if cell.HasImage() {
				list = append(list, Image{region, attribute, cell.Value})
				continue
			}
			g := gap{attribute, strings.Join(p.uses(region), ", "),
				row && !slices.ContainsFunc(p.regions(), func(r string) bool { return has(r, attribute) })}
			if regions[g] = append(regions[g], region); len(regions[g]) > 1 {
				continue
			}
			gaps = append(gaps, g)
			name := strings.Join([]string{p.Mapping, region, attribute}, ".")
			first[g] = fmt.Sprintf("%d:%d: %s is %q, a placeholder", cell.Line, cell.Column, name, cell.Value)
			if !found {
				first[g] = fmt.Sprintf("%d:%d: %s is missing", m.Line, m.Column, name)
			}
		}
	}
	for _, g := range gaps {
		where := shortlist.Join(regions[g])
		remedy := fmt.Sprintf("build %s for %s too, or remove it from regions of publish", g.attribute, where)
		if g.column {
			remedy = fmt.Sprintf("run the build that fills %s first, or remove %s from attributes", g.attribute, g.attribute)
		}
		missing = append(missing, fmt.Errorf("%s:%s; stacks in %s (%s) cannot launch with %s; %s", p.Name, first[g], where, g.uses, g.attribute, remedy))
	}
	return list, missing
}

func (p *Plan) mapping() (*cfntemplate.Mapping, error) {
	t, err := cfntemplate.Parse(p.Name, p.Body)
	if err != nil {
		return nil, err
	}
	return t.Mapping(p.Mapping)
}

// regions returns the regions that the plan publishes to, each once.
func (p *Plan) regions() (list []string) {
	add := func(more []string) {
		for _, r := range more {
			if !slices.Contains(list, r) {
				list = append(list, r)
			}
		}
	}
	add(p.S3.Regions)
	if p.SSM != nil {
		add(p.ssmRegions())
	}
	if p.StackSet != nil {
		add(p.StackSet.Regions)
	}
	return list
}

// uses returns the blocks that publish to a region.
func (p *Plan) uses(region string) (list []string) {
	if slices.Contains(p.S3.Regions, region) {
		list = append(list, "s3")
	}
	if p.SSM != nil && slices.Contains(p.ssmRegions(), region) {
		list = append(list, "ssm")
	}
	if p.StackSet != nil && slices.Contains(p.StackSet.Regions, region) {
		list = append(list, "stack_set")
	}
	return list
}

func (p *Plan) ssmRegions() []string {
	if len(p.SSM.Regions) == 0 {
		return p.S3.Regions
	}
	return p.SSM.Regions
}
