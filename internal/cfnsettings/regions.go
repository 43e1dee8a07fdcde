// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
)

// AttributeOf returns the attribute for the images of a build; false if there is
// none.
func (s *Settings) AttributeOf(build, architecture string) (string, bool) {
	if a := s.Attributes[build]; a != "" {
		return a, true
	}
	if a := s.Attributes[architecture]; a != "" {
		return a, true
	}
	return s.Attribute, s.Attribute != ""
}

// Required returns required_regions with `build` replaced by the regions in
// reached.
func (s *Settings) Required(reached []string) []string {
	var regions []string
	for _, r := range s.RequiredRegions {
		if r == BuildRegions {
			regions = append(regions, reached...)
		} else {
			regions = append(regions, r)
		}
	}
	return regions
}

// optionNames are the option names that the errors of a policy use.
var optionNames = cfntemplate.Options{Required: "required_regions", Stale: "stale_regions", New: "new_attributes", Attribute: "attribute"}

// Policy returns the requirements on the filled map, for a build that reaches the
// given regions.
func (s *Settings) Policy(reached []string, images []cfntemplate.Image) cfntemplate.Policy {
	p := cfntemplate.Policy{Mapping: s.Mapping, Required: s.Required(reached), Stale: cfntemplate.Stale(s.StaleRegions), New: s.NewAttributes, Options: optionNames}
	p.InPlace, _ = s.InPlace() // reading the template returns the same error
	for _, a := range s.Attributes {
		if !slices.ContainsFunc(images, func(i cfntemplate.Image) bool { return i.Attribute == a }) {
			p.Later = append(p.Later, a)
		}
	}
	return p
}

// Base returns the existing content of the output, which a build adds to. It is
// nil if the output does not exist or is the template itself.
func (s *Settings) Base(current []byte) ([]byte, error) {
	same, err := s.InPlace()
	if err != nil || same {
		return nil, err
	}
	return current, nil
}
