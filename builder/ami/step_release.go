// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
)

// stepRelease marks the images as released, now that every region has its own,
// and protects them. From here on they are the user's.
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
	// Protection comes last: an image that has it could not be taken back.
	err = b.inAllRegions(b.images, func(image distribute.Image) error {
		return finish.Guard(ctx, b.clients.EC2(image.Region), image)
	})
	if err != nil {
		return halt(state, "releasing: %w", err)
	}
	b.done = ctx.Err() == nil
	return multistep.ActionContinue
}
