// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

// unknownValue is what Packer passes, at validate time, for a text that it knows
// at build time only, a data source's.
const unknownValue = "<unknown>"

// fillUnknown puts something valid in place of such texts where amazon-ebs's
// checks, and so `packer validate`, would refuse them.
func (c *Config) fillUnknown() {
	for text, valid := range map[*string]string{
		&c.AMIName: "unknown", &c.AMIKmsKeyId: "alias/unknown", &c.DeprecationTime: "", &c.UserDataFile: "",
	} {
		if *text == unknownValue {
			*text = valid
		}
	}
	for region, key := range c.AMIRegionKMSKeyIDs {
		if key == unknownValue {
			c.AMIRegionKMSKeyIDs[region] = "alias/unknown"
		}
	}
	for i, cidr := range c.TemporarySGSourceCidrs {
		if cidr == unknownValue {
			c.TemporarySGSourceCidrs[i] = "192.0.2.0/32"
		}
	}
}
