// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Release tags the images as released, after all regions have one.
type Release struct{ noCleanup }

func (Release) Facts() (needs, yields []Fact) { return facts(Images, AccountImages, LaunchTests), nil }

func (Release) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	finish := b.finish(ui.Sayf)
	err := b.inAllRegions(slices.Concat(b.Images, b.AccountImages), func(image distribute.Image) error {
		return finish.Tag(ctx, b.EC2Of(image.Account, image.Region), image, slices.Concat(released, b.testTags()))
	})
	if err != nil {
		return Halt(state, "releasing: %w", err)
	}
	return multistep.ActionContinue
}

// Protect enables deregistration protection. It runs after all steps that can
// fail, as a protected image could not be removed.
type Protect struct{ noCleanup }

func (Protect) Facts() (needs, yields []Fact) { return facts(Images, LaunchTests), nil }

func (Protect) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	finish := b.finish(ui.Sayf)
	err := b.inAllRegions(b.Images, func(image distribute.Image) error {
		return finish.Guard(ctx, b.Clients.EC2(image.Region), image)
	})
	if err != nil {
		return Halt(state, "protecting: %w", err)
	}
	b.Done = ctx.Err() == nil || b.committed
	return multistep.ActionContinue
}

var released = []ec2types.Tag{{Key: aws.String(tags.State), Value: aws.String(tags.Released)}}
