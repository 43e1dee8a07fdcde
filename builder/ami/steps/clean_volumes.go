// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
)

// CleanVolumes deletes the volumes that outlive the instance because of the
// source image's settings. It only lists those of launch_block_device_mappings,
// as the user has chosen to keep them. It replaces amazon-ebs's step, which
// reports volumes that no longer exist as errors.
type CleanVolumes struct{}

func (CleanVolumes) Facts() (needs, yields []Fact) { return nil, nil }

func (CleanVolumes) Run(context.Context, multistep.StateBag) multistep.StepAction {
	return multistep.ActionContinue
}

// Cleanup runs once the instance has terminated.
func (CleanVolumes) Cleanup(state multistep.StateBag) {
	b, ui := BuildOf(state), UIOf(state)
	instance, _ := state.Get(keyInstance).(ec2types.Instance)
	devices := map[string]string{} // by volume
	var ids []string
	for _, m := range instance.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.VolumeId != nil {
			devices[*m.Ebs.VolumeId] = aws.ToString(m.DeviceName)
			ids = append(ids, *m.Ebs.VolumeId)
		}
	}
	if len(ids) == 0 {
		return
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	region := b.Clients.Region()
	client := b.Clients.EC2(region)
	pages := ec2.NewDescribeVolumesPaginator(client, &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{{Name: aws.String("volume-id"), Values: ids}}})
	var volumes []ec2types.Volume
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			ui.Errorf("looking for leftover volumes of the instance: %s", err)
			break
		}
		volumes = append(volumes, page.Volumes...)
	}
	for _, volume := range volumes {
		id := aws.ToString(volume.VolumeId)
		device, entry := devices[id], cleanup.Entry{Kind: cleanup.Volume, Region: region, ID: id, Seen: true}
		if volume.State != ec2types.VolumeStateAvailable {
			continue
		}
		if b.Config.Launches(device) {
			ui.Sayf("Keeping %s (%s, %d GiB): delete_on_termination is not true in launch_block_device_mappings. To delete it:\n  %s",
				id, device, aws.ToInt32(volume.Size), b.Command(entry))
			continue
		}
		ui.Sayf("Deleting leftover volume %s (%s)", id, device)
		b.ledger.Add(entry)
		if err := b.remover(region).Remove(ctx, entry); err != nil {
			ui.Errorf("deleting %s in %s: %s", id, region, err)
		}
	}
}
