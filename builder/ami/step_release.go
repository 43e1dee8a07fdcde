// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
)

// stepRelease marks the images as released, now that every region has its own.
type stepRelease struct{ noCleanup }

func (stepRelease) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	finish := b.finish(ui.Sayf)
	err := b.inAllRegions(b.images, func(image distribute.Image) error {
		return finish.Tag(ctx, b.clients.EC2(image.Region), image, released)
	})
	if err != nil {
		return halt(state, "releasing: %w", err)
	}
	return multistep.ActionContinue
}

// stepProtect protects the images from being deregistered. It is the last step:
// an image that is protected could not be taken back.
type stepProtect struct{ noCleanup }

func (stepProtect) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	finish := b.finish(ui.Sayf)
	err := b.inAllRegions(b.images, func(image distribute.Image) error {
		return finish.Guard(ctx, b.clients.EC2(image.Region), image)
	})
	if err != nil {
		return halt(state, "protecting: %w", err)
	}
	b.done = ctx.Err() == nil || b.committed
	return multistep.ActionContinue
}
