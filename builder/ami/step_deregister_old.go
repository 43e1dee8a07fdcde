// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

// stepDeregisterOld makes room for an image of the same name in every region
// (force_deregister, or packer build -force): EC2 refuses a second one.
type stepDeregisterOld struct{ noCleanup }

func (stepDeregisterOld) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if !b.config.AMIForceDeregister || b.config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	for _, region := range b.config.imageRegions(b.clients.Region()) {
		client := b.clients.EC2(region)
		old, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{
			Owners:  []string{"self"},
			Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{b.config.AMIName}}},
		})
		if err != nil {
			return halt(state, "force_deregister: looking for %q in %s: %w", b.config.AMIName, region, err)
		}
		for _, image := range old.Images {
			id := aws.ToString(image.ImageId)
			remove := distribute.Deregister
			if b.config.AMIForceDeleteSnapshot {
				remove = distribute.Remove
			}
			// It is not this build's: what cannot be removed is no leak of it.
			if err := remove(ctx, client, region, id, new(ledger.Ledger)); err != nil {
				return halt(state, "force_deregister: %w", err)
			}
			ui.Sayf("Deregistered %s in %s, which had the name %q", id, region, b.config.AMIName)
		}
	}
	return multistep.ActionContinue
}
