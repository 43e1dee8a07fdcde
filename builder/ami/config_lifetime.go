// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

// LifetimeConfig bounds how long an instance may live, whatever becomes of Packer.
type LifetimeConfig struct {
	// PLACEHOLDER of the owner of this file. Default `false`.
	LifetimePlaceholder bool `mapstructure:"lifetime_placeholder" required:"false"`
}

// prepare fills in defaults and checks the options.
func (o *LifetimeConfig) prepare(c *Config) (warnings []string, errs []error) {
	return nil, nil
}
