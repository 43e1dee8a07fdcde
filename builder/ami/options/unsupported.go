// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package options

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/hashicorp/packer-plugin-amazon/builder/ebs"
)

// UnsupportedConfig holds the options of amazon-ebs that apply only to Windows.
// They are declared so that the error can give the reason.
type UnsupportedConfig struct {
	// Not supported; an error if `true`. It removes drives that exist only on
	// Windows.
	NoEphemeral bool `mapstructure:"no_ephemeral" required:"false"`
	// Not supported; an error if set. EC2 offers fast launch only for Windows.
	FastLaunch ebs.FastLaunchConfig `mapstructure:"fast_launch" required:"false"`
}

// prepare refuses options that apply only to Windows.
func (o *UnsupportedConfig) prepare(c *Config) (warnings []string, errs []error) {
	const why = "a mining image runs Linux"
	if o.NoEphemeral {
		errs = append(errs, errors.New("no_ephemeral: got true, but it applies only to Windows, and "+why+"; remove it, "+
			"or omit single drives with no_device in launch_block_device_mappings"))
	}
	if len(o.FastLaunch.RegionLaunchTemplates) == 0 {
		o.FastLaunch.RegionLaunchTemplates = nil
	}
	if !reflect.ValueOf(o.FastLaunch).IsZero() {
		errs = append(errs, errors.New("fast_launch: set, but EC2 offers it only for Windows, and "+why+"; remove it"))
	}
	if c.Comm.Type == "winrm" {
		errs = append(errs, fmt.Errorf("communicator: got %q, want \"ssh\" or \"none\"; %s", c.Comm.Type, why))
	}
	return nil, errs
}
