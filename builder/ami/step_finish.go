// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"maps"
	"sync"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
)

// stepFinish tags, describes, shares and protects the images, in all regions
// at once. It is the last step: from here on the images are the user's.
type stepFinish struct{ noCleanup }

func (stepFinish) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := buildOf(state)
	finishes := map[string]distribute.Finish{}
	for _, image := range b.images {
		finish, err := b.config.finish(state, image.Region)
		if err != nil {
			return halt(state, "finishing %s: %w", image.ID, err)
		}
		finishes[image.Region] = finish
	}
	// Protection comes last: an image that has it could not be taken back.
	for _, pass := range []func(distribute.Finish, context.Context, distribute.FinishAPI, distribute.Image) error{
		distribute.Finish.Apply, distribute.Finish.Guard,
	} {
		failures := make([]error, len(b.images))
		var wg sync.WaitGroup
		for i, image := range b.images {
			wg.Go(func() { failures[i] = pass(finishes[image.Region], ctx, b.clients.EC2(image.Region), image) })
		}
		wg.Wait()
		if err := errors.Join(failures...); err != nil {
			return halt(state, "finishing: %w", err)
		}
	}
	b.done = ctx.Err() == nil
	return multistep.ActionContinue
}

// finish is what the configuration wants on the image of a region.
func (c *Config) finish(state multistep.StateBag, region string) (distribute.Finish, error) {
	data, _ := state.Get(keyGeneratedData).(map[string]any)
	ictx := c.ctx
	ictx.Data = data
	description, err := interpolate.Render(c.AMIDescription, &ictx)
	if err != nil {
		return distribute.Finish{}, err
	}
	imageTags, err := awscommon.TagMap(c.AMITags).EC2Tags(c.ctx, region, state)
	if err != nil {
		return distribute.Finish{}, err
	}
	// A snapshot gets its image's tags too; its own win.
	onSnapshots := map[string]string{}
	maps.Copy(onSnapshots, c.AMITags)
	maps.Copy(onSnapshots, c.SnapshotTags)
	snapshotTags, err := awscommon.TagMap(onSnapshots).EC2Tags(c.ctx, region, state)
	if err != nil {
		return distribute.Finish{}, err
	}
	return distribute.Finish{
		ImageTags: imageTags, SnapshotTags: snapshotTags,
		Description: description,
		Users:       c.AMIUsers, Groups: c.AMIGroups, OrgARNs: c.AMIOrgArns, OUARNs: c.AMIOuArns,
		ProductCodes:  c.AMIProductCodes,
		SnapshotUsers: c.SnapshotUsers, SnapshotGroups: c.SnapshotGroups,
		IMDSv2:      c.AMIIMDSSupport != "",
		DeprecateAt: c.deprecateAt(),
		Protect:     c.DeregistrationProtection.Enabled,
		Cooldown:    c.DeregistrationProtection.WithCooldown,
	}, nil
}
