// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
)

// checkLists refuses empty lists, which are usually the result of an empty
// variable or a filter without matches.
func (c *Config) checkLists() (errs []error) {
	for _, list := range []struct {
		attribute, want string
		values          []string
	}{
		{"ami_regions", "the regions to copy the image to", c.AMIRegions},
		{"instance_types", "the types to try", c.InstanceTypes},
		{"spot_instance_types", "the types to try", c.SpotInstanceTypes},
		{"markets", "\"capacity-reservation\", \"on-demand\" or \"spot\"", c.Markets},
		{"subnet_ids", "the subnets to try", c.SubnetIds},
		{"availability_zones", "the zones to try", c.AvailabilityZones},
	} {
		if list.values != nil && len(list.values) == 0 {
			errs = append(errs, fmt.Errorf("%s: got an empty list, want %s; remove the attribute for its default", list.attribute, list.want))
		}
	}
	return errs
}
