// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

// PreflightConfig says what is checked before anything is created.
type PreflightConfig struct {
	// PLACEHOLDER of the owner of this file. Default `false`.
	PreflightPlaceholder bool `mapstructure:"preflight_placeholder" required:"false"`
}

// prepare fills in defaults and checks the options.
func (o *PreflightConfig) prepare(c *Config) (warnings []string, errs []error) {
	return nil, nil
}
