// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// fillUnknown replaces unknown values by valid ones where amazon-ebs's checks,
// and so `packer validate`, would refuse them.
func (c *Config) fillUnknown() {
	for text, valid := range map[*string]string{
		&c.AMIName: "unknown", &c.AMIKmsKeyId: "alias/unknown", &c.DeprecationTime: "", &c.UserDataFile: "",
	} {
		if *text == hclvalue.Unknown {
			*text = valid
		}
	}
	for region, key := range c.AMIRegionKMSKeyIDs {
		if key == hclvalue.Unknown {
			c.AMIRegionKMSKeyIDs[region] = "alias/unknown"
		}
	}
	for i, cidr := range c.TemporarySGSourceCidrs {
		if cidr == hclvalue.Unknown {
			c.TemporarySGSourceCidrs[i] = "192.0.2.0/32"
		}
	}
}
