// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"errors"
	"fmt"
)

// checkLists refuses empty lists, which are usually the result of an empty
// variable or a filter without matches.
func (c *Config) checkLists() (errs []error) {
	for _, list := range []struct {
		attribute, want string
		values          []string
		late            bool // may be from a data source: `packer validate` passes an empty list for an unknown one
	}{
		{"ami_regions", "the regions to copy the image to", c.AMIRegions, false},
		{"instance_types", "the types to try", c.InstanceTypes, true},
		{"spot_instance_types", "the types to try", c.SpotInstanceTypes, true},
		{"markets", "\"capacity-reservation\", \"on-demand\" or \"spot\"", c.Markets, false},
		{"subnet_ids", "the subnets to try", c.SubnetIds, false},
		{"availability_zones", "the zones to try", c.AvailabilityZones, true},
	} {
		if list.values == nil || len(list.values) > 0 {
			continue
		}
		err := fmt.Errorf("%s: got an empty list, want %s; remove the attribute for its default", list.attribute, list.want)
		if list.late {
			c.emptyLists = append(c.emptyLists, err)
		} else {
			errs = append(errs, err)
		}
	}
	return errs
}

// EmptyLists returns the errors about empty lists that Prepare could not distinguish
// from unknown ones.
func (c *Config) EmptyLists() error { return errors.Join(c.emptyLists...) }
