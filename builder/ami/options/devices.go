// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
	"slices"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// deviceList is an option with block devices.
type deviceList struct {
	attribute string
	devices   awscommon.BlockDevices
}

func (c *Config) deviceLists() []deviceList {
	return []deviceList{{"launch_block_device_mappings", c.LaunchMappings}, {"ami_block_device_mappings", c.AMIMappings}}
}

// checkDevices checks block devices. EC2 checks sizes and rates in the preflight's
// dry run; the limits in amazon-ebs's own check are those of 2020.
func (c *Config) checkDevices(attribute string, devices awscommon.BlockDevices) (warnings []string, errs []error) {
	names := map[string]int{}
	for i, device := range devices {
		at := fmt.Sprintf("%s[%d]", attribute, i)
		name := device.DeviceName
		if name == "" {
			errs = append(errs, fmt.Errorf("%s.device_name: not set, want a name such as \"/dev/sda1\" (the root device of Ubuntu) or \"/dev/sdf\" (another disk)", at))
		} else if first, twice := names[name]; twice && name != hclvalue.Unknown {
			errs = append(errs, fmt.Errorf("%s.device_name: got %q, which %s[%d] uses too; use each name once", at, name, attribute, first))
		}
		names[name] = i
		if device.KmsKeyId != "" && device.Encrypted.False() {
			errs = append(errs, fmt.Errorf("%s: kms_key_id is set, but encrypted is false; set encrypted = true, or remove kms_key_id", at))
		}
		errs = appendError(errs, checkKey(at+".kms_key_id", device.KmsKeyId, c.RawRegion))
		errs = appendError(errs, checkPrefix(at+".snapshot_id", device.SnapshotId, "snap-"))
		for _, rate := range []struct {
			name  string
			value *int32
		}{{"iops", device.IOPS}, {"throughput", device.Throughput}} {
			if rate.value != nil && *rate.value < 1 {
				errs = append(errs, fmt.Errorf("%s.%s: got %d, want 1 or more", at, rate.name, *rate.value))
			}
		}
		if kinds := ec2types.VolumeType("").Values(); device.VolumeType != "" && device.VolumeType != hclvalue.Unknown && !slices.Contains(kinds, ec2types.VolumeType(device.VolumeType)) {
			slices.Sort(kinds)
			errs = append(errs, fmt.Errorf("%s.volume_type: got %q, want one of %s", at, device.VolumeType, strings.ReplaceAll(strings.Trim(fmt.Sprint(kinds), "[]"), " ", ", ")))
		}
		if device.VolumeSize < 0 {
			errs = append(errs, fmt.Errorf("%s.volume_size: got %d, want a size in GiB", at, device.VolumeSize))
		}
		if !device.DeleteOnTermination && !device.NoDevice && device.VirtualName == "" {
			warnings = append(warnings, fmt.Sprintf("%s.delete_on_termination: not true for %s, so its volume is kept and billed after the instance terminates; set it to true", at, name))
		}
	}
	return warnings, errs
}

// BlockDevices returns the request parameters of devices. amazon-ebs omits rates
// if the volume type is not set or not in its list.
func BlockDevices(devices awscommon.BlockDevices) []ec2types.BlockDeviceMapping {
	mappings := devices.BuildEC2BlockDeviceMappings()
	for i := range mappings {
		if ebs := mappings[i].Ebs; ebs != nil {
			ebs.Iops, ebs.Throughput = devices[i].IOPS, devices[i].Throughput
		}
	}
	return mappings
}

// Launches reports whether launch_block_device_mappings contains a device.
func (c *Config) Launches(device string) bool {
	for _, d := range c.LaunchMappings {
		if d.DeviceName == device {
			return true
		}
	}
	return false
}
