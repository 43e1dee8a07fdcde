// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Device is a block device of the configuration, for the launch or the image.
type Device struct {
	Attribute string // such as launch_block_device_mappings[0]
	Mapping   ec2types.BlockDeviceMapping
}

// rootNames are the usual names of root devices, without /dev/.
var rootNames = []string{"sda1", "sda", "xvda", "xvda1", "hda", "vda", "nvme0n1", "nvme0n1p1"}

// judgeDevices compares devices with those of the source image. A name that the
// image does not have adds a blank disk.
func judgeDevices(image ec2types.Image, devices []Device) (findings []Finding) {
	root, id := aws.ToString(image.RootDeviceName), aws.ToString(image.ImageId)
	if root == "" {
		return nil
	}
	named := map[string]bool{}
	for _, device := range devices {
		name := aws.ToString(device.Mapping.DeviceName)
		first := !named[name]
		named[name] = true
		find := func(f Finding) {
			findings = append(findings, f)
		}
		at := slices.IndexFunc(image.BlockDeviceMappings, func(m ec2types.BlockDeviceMapping) bool { return aws.ToString(m.DeviceName) == name })
		switch ebs := device.Mapping.Ebs; {
		case ebs == nil && name == root:
			find(Finding{
				Attribute: device.Attribute, Value: fmt.Sprintf("%s is the root device of the source image %s", name, id),
				Expected: "a root device with a volume", Remedy: "remove no_device or virtual_name",
			})
		case ebs == nil:
		case at >= 0:
			findings = append(findings, judgeVolume(device, name, image.BlockDeviceMappings[at].Ebs)...)
		case ebs.SnapshotId != nil, !first: // of the launch, and so of the image
		case slices.Contains(rootNames, strings.TrimPrefix(name, "/dev/")):
			find(Finding{
				Attribute: device.Attribute + ".device_name", Value: fmt.Sprintf("%q adds a second, blank disk: the root device of the source image %s is %q", name, id, root),
				Remedy: fmt.Sprintf("set device_name = %q for the root device, or a name such as \"/dev/sdf\" for another disk", root),
			})
		case !aws.ToBool(ebs.DeleteOnTermination):
			find(Finding{
				Attribute: device.Attribute, Value: fmt.Sprintf("%s adds a blank disk to those of the source image %s, which is kept and billed after each instance of the image", name, id),
				Remedy: fmt.Sprintf("set delete_on_termination = true; the root device is %q", root), Warning: true,
			})
		}
	}
	return findings
}

// judgeVolume compares a device with the image's volume of that name.
func judgeVolume(device Device, name string, has *ec2types.EbsBlockDevice) (findings []Finding) {
	wants := device.Mapping.Ebs
	if has == nil {
		return nil
	}
	if wants.VolumeSize != nil && has.VolumeSize != nil && *wants.VolumeSize < *has.VolumeSize && wants.SnapshotId == nil {
		findings = append(findings, Finding{
			Attribute: device.Attribute + ".volume_size", Value: fmt.Sprintf("got %d GiB for %s, which has %d GiB in the source image", *wants.VolumeSize, name, *has.VolumeSize),
			Expected: fmt.Sprintf("%d or more", *has.VolumeSize),
		})
	}
	if wants.Encrypted != nil && !*wants.Encrypted && aws.ToBool(has.Encrypted) {
		findings = append(findings, Finding{
			Attribute: device.Attribute + ".encrypted", Value: fmt.Sprintf("got false, but the snapshot of %s in the source image is encrypted", name),
			Expected: "true or no value, as EC2 does not decrypt snapshots", Remedy: "remove it, or use another source image",
		})
	}
	return findings
}
