// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package options

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// PreflightConfig configures the checks before anything is created.
type PreflightConfig struct {
	// Whether to check the configuration against AWS before anything is created.
	// `on` (default) checks for all known causes of a failing build, and fails
	// with all problems found. `only` runs the checks, creates nothing, and
	// succeeds if they pass. `off` disables the checks. A check that the
	// credentials do not allow is a warning. Except with `off`, the builder also
	// prints the [estimated cost](#estimated-cost).
	Preflight string `mapstructure:"preflight" required:"false"`
}

// Values of preflight.
const (
	PreflightOn   = "on"
	PreflightOnly = "only"
	PreflightOff  = "off"
)

// prepare fills in defaults and checks the options.
func (o *PreflightConfig) prepare(*Config) (warnings []string, errs []error) {
	switch o.Preflight {
	case "":
		o.Preflight = PreflightOn
	case PreflightOn, PreflightOnly, PreflightOff, hclvalue.Unknown:
	default:
		errs = append(errs, fmt.Errorf("preflight: got %q, want %q, %q or %q", o.Preflight, PreflightOn, PreflightOnly, PreflightOff))
	}
	return nil, errs
}

// SourceQuestion returns the request with which StepSourceAMIInfo finds the
// source image.
func (c *Config) SourceQuestion() (preflight.Source, error) {
	filters, err := launch.Filters(c.SourceAmiFilter.Filters, nil)
	if err != nil {
		return preflight.Source{}, fmt.Errorf("source_ami_filter: %w", err)
	}
	s := preflight.Source{Attribute: "source_ami_filter", MostRecent: c.SourceAmiFilter.MostRecent, Question: &ec2.DescribeImagesInput{
		Owners: c.SourceAmiFilter.Owners, Filters: filters, IncludeDeprecated: aws.Bool(c.SourceAmiFilter.IncludeDeprecated),
	}}
	if c.SourceAmi != "" {
		s.Attribute, s.Question.ImageIds = "source_ami", []string{c.SourceAmi}
	}
	return s, nil
}

// NamesPlaces reports whether the user has set zones or subnets.
func (c *Config) NamesPlaces() bool {
	return c.SubnetId != "" || c.AvailabilityZone != "" || len(c.SubnetIds)+len(c.AvailabilityZones) > 0
}

// Address returns how the build connects to its instance (awscommon.SSHHost).
func (c *Config) Address() preflight.Address {
	switch {
	case !c.reachesPublicAddress(), c.Comm.Type == "none", c.Rehearsal && c.RehearsalInstance == rehearsal.NoInstance, c.AssociatePublicIpAddress.False():
		return preflight.OtherAddress
	case c.AssociatePublicIpAddress.True():
		return preflight.PublicAddress
	case c.SSHInterface != "":
		return preflight.SubnetAddress
	}
	return preflight.AnyAddress
}

// EncryptedVolume returns the first option that encrypts a volume of the image.
func (c *Config) EncryptedVolume() string {
	for _, list := range c.deviceLists() {
		for i, device := range list.devices {
			if device.Encrypted.True() || device.KmsKeyId != "" {
				return fmt.Sprintf("%s[%d].encrypted", list.attribute, i)
			}
		}
	}
	return ""
}

// Devices returns the block devices of the launch and of the image.
func (c *Config) Devices() (devices []preflight.Device) {
	for _, list := range c.deviceLists() {
		for i, mapping := range BlockDevices(list.devices) {
			devices = append(devices, preflight.Device{Attribute: fmt.Sprintf("%s[%d]", list.attribute, i), Mapping: mapping})
		}
	}
	return devices
}

// VolumeKeys returns the keys of the block devices in the build's region.
func (c *Config) VolumeKeys(home string) (keys []preflight.Key) {
	for _, list := range c.deviceLists() {
		for i, device := range list.devices {
			if device.Encrypted.True() || device.KmsKeyId != "" {
				keys = append(keys, preflight.Key{
					Attribute: fmt.Sprintf("%s[%d].kms_key_id", list.attribute, i), Region: home, ID: device.KmsKeyId,
					OfImage: !c.SkipCreateAMI && !c.AMIEncryptBootVolume.True(), // else the copy has another key
				})
			}
		}
	}
	return keys
}
