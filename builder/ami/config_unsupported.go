// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/hashicorp/packer-plugin-amazon/builder/ebs"
)

// UnsupportedConfig holds the options of amazon-ebs that are for Windows alone. They
// are known here so that the error can say why they are refused.
type UnsupportedConfig struct {
	// Refused when it is `true`: it takes away drives that only Windows has.
	NoEphemeral bool `mapstructure:"no_ephemeral" required:"false"`
	// Refused when anything in it is set: EC2 has fast launch for Windows alone.
	FastLaunch ebs.FastLaunchConfig `mapstructure:"fast_launch" required:"false"`
}

// prepare refuses what is for Windows.
func (o *UnsupportedConfig) prepare(c *Config) (warnings []string, errs []error) {
	const why = "a mining image runs Linux"
	if o.NoEphemeral {
		errs = append(errs, errors.New("no_ephemeral: true; it is for Windows alone, and "+why+"; leave it out, "+
			"or name a drive to leave out with no_device in launch_block_device_mappings"))
	}
	if len(o.FastLaunch.RegionLaunchTemplates) == 0 {
		o.FastLaunch.RegionLaunchTemplates = nil
	}
	if !reflect.ValueOf(o.FastLaunch).IsZero() {
		errs = append(errs, errors.New("fast_launch: EC2 has it for Windows alone, and "+why+"; leave it out"))
	}
	if c.Comm.Type == "winrm" {
		errs = append(errs, fmt.Errorf("communicator: %q is not supported: %s; expected \"ssh\" or \"none\"", c.Comm.Type, why))
	}
	return nil, errs
}
