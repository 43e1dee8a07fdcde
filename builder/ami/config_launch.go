// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

// LaunchConfig says which instances may be launched, where, in which markets and at which price.
type LaunchConfig struct {
	// PLACEHOLDER of the owner of this file. Default `false`.
	LaunchPlaceholder bool `mapstructure:"launch_placeholder" required:"false"`
}

// prepare fills in defaults and checks the options.
func (o *LaunchConfig) prepare(c *Config) (warnings []string, errs []error) {
	return nil, nil
}
