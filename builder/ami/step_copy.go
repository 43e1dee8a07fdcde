// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
)

// stepCopy copies the image to all its regions at once.
type stepCopy struct{}

func (stepCopy) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	targets := b.config.targets(b.clients.Region())
	if b.config.SkipCreateAMI || len(targets) == 0 {
		return multistep.ActionContinue
	}
	tags, err := b.config.imageRunTags(state, b.clients.Region())
	if err != nil {
		return halt(state, "copying: %w", err)
	}
	ui.Sayf("Copying %s to %d regions...", b.image.ID, len(targets))
	images, err := distribute.Copies{
		Source:            b.image,
		Name:              b.config.AMIName,
		Token:             b.config.buildID,
		Tags:              tags,
		CompletionMinutes: b.config.AMISnapshotCopyDurationMinutes,
		Targets:           targets,
		Wait:              b.wait,
		Ledger:            b.ledger,
		Started:           func(image distribute.Image) { ui.Sayf("%s: copying to %s", image.Region, image.ID) },
		Ready:             func(image distribute.Image) { ui.Sayf("%s: %s is available", image.Region, image.ID) },
	}.Run(ctx, func(region string) distribute.CopyAPI { return b.clients.EC2(region) })
	if err != nil {
		return halt(state, "%w", err)
	}
	b.images = append(b.images, images...)
	if b.config.needsIntermediary() {
		removeImages(ctx, state, b.image)
		b.image = distribute.Image{}
	}
	return multistep.ActionContinue
}

// Cleanup removes every copy of a build that failed, those still pending too.
func (stepCopy) Cleanup(state multistep.StateBag) {
	b := buildOf(state)
	if !failed(state) {
		return
	}
	ctx, cancel := cleanupContext()
	defer cancel()
	removeImages(ctx, state, b.copiesLeft()...)
}

// copiesLeft are the ledger's images but the one that was copied, which
// stepCreateImage removes: EC2 refuses to while copies read its snapshots.
func (b *build) copiesLeft() []distribute.Image {
	var images []distribute.Image
	for _, entry := range b.ledger.Images() {
		if entry.ID != b.image.ID {
			images = append(images, distribute.Image{Region: entry.Region, ID: entry.ID})
		}
	}
	return images
}

// targets are the copies that the configuration wants.
func (c *Config) targets(build string) []distribute.Target {
	var targets []distribute.Target
	for _, region := range c.imageRegions(build) {
		if region == build && !c.needsIntermediary() {
			continue // the image of the instance itself
		}
		target := distribute.Target{Region: region, KMSKeyID: c.AMIRegionKMSKeyIDs[region]}
		if region == build && target.KMSKeyID == "" {
			target.KMSKeyID = c.AMIKmsKeyId
		}
		if c.AMIEncryptBootVolume.True() {
			target.Encrypted = aws.Bool(true)
		}
		targets = append(targets, target)
	}
	return targets
}
