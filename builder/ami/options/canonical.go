// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// canonical are Canonical's accounts, which own the images of Ubuntu, by partition
// (https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/).
var canonical = map[string]string{"aws": "099720109477", "aws-us-gov": "513442679011", "aws-cn": "837727238323"}

// canonicalIn returns Canonical's account in a region's partition.
func canonicalIn(name string) string {
	return cmp.Or(canonical[region.Partition(name)], canonical["aws"])
}

// CheckOwners warns of an owner in source_ami_filter that is Canonical's account in
// another partition: the filter then finds no image in the region.
func (c *Config) CheckOwners(name string) (warnings []string) {
	partition, owners := region.Partition(name), c.SourceAmiFilter.Owners
	here := canonical[partition]
	if here == "" || slices.Contains(owners, here) {
		return nil
	}
	for other, account := range canonical {
		if other != partition && slices.Contains(owners, account) {
			warnings = append(warnings, fmt.Sprintf("source_ami_filter.owners: got %q, which is Canonical's account in the partition %s, want %q for %s", account, other, here, name))
		}
	}
	slices.Sort(warnings)
	return warnings
}
