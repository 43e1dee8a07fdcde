// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

// DistributionConfig says how the image comes to its regions, and what becomes of older ones.
type DistributionConfig struct {
	// PLACEHOLDER of the owner of this file. Default `false`.
	DistributionPlaceholder bool `mapstructure:"distribution_placeholder" required:"false"`
}

// prepare fills in defaults and checks the options.
func (o *DistributionConfig) prepare(c *Config) (warnings []string, errs []error) {
	return nil, nil
}
