// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// stepDistribute brings the image to all its regions at once, and describes
// and shares it in each as soon as it is there.
type stepDistribute struct{}

func (stepDistribute) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if b.config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	description, err := b.config.description(state, b.clients.Region())
	if err != nil {
		return halt(state, "distributing: %w", err)
	}
	targets, err := b.targets(state)
	if err != nil {
		return halt(state, "distributing: %w", err)
	}
	if copies := b.toCopy(targets); len(copies) > 0 {
		ui.Sayf("Copying %s to %s...", b.image.ID, strings.Join(copies, ", "))
	}
	finish := b.finish(ui.Sayf)
	outcomes := distribute.Copies{
		Source:            b.image,
		Targets:           targets,
		Description:       description,
		Token:             uuid.TimeOrderedUUID(), // not the attempt's: -on-error=ask runs a step again
		CompletionMinutes: b.config.AMISnapshotCopyDurationMinutes,
		Parallel:          b.config.CopyParallelism,
		StopAtFirst:       b.config.OnCopyFailure != onFailureKeep,
		Finish: func(ctx context.Context, image distribute.Image) error {
			return finish.Apply(ctx, b.clients.EC2(image.Region), image)
		},
		Wait:   b.wait,
		Retry:  b.patience,
		Ledger: b.ledger,
		Say:    ui.Sayf,
	}.Run(ctx, func(region string) distribute.CopyAPI { return b.clients.EC2(region) })

	b.images = nil
	for _, o := range outcomes {
		if o.Err == nil {
			b.images = append(b.images, o.Image)
			b.made[o.Region] = o.Image
		}
	}
	slices.SortFunc(b.images, func(x, y distribute.Image) int { return strings.Compare(x.Region, y.Region) })
	if len(b.images) < len(targets) {
		if err := b.missing(ctx, state, outcomes); err != nil {
			return halt(state, "%w", err)
		}
	}
	if b.intermediary {
		removeImages(ctx, state, b.image)
		b.image = distribute.Image{}
	}
	return multistep.ActionContinue
}

// missing does what on_copy_failure says where a region has no image. Its error
// ends the build.
func (b *build) missing(ctx context.Context, state multistep.StateBag, outcomes []distribute.Outcome) error {
	cause := distribute.FirstCause(outcomes)
	if ctx.Err() != nil { // cancelled: everything goes
		return cause
	}
	ui := uiOf(state)
	switch b.config.OnCopyFailure {
	case onFailureKeep:
		if len(b.images) == 0 {
			return cause
		}
		b.report.FailedRegions = map[string]string{}
		for _, o := range outcomes {
			if o.Err == nil {
				continue
			}
			b.report.FailedRegions[o.Region] = o.Err.Error()
			ui.Errorf("%s has no image: %s", o.Region, o.Err)
			if o.Image.ID != "" && o.Image.ID != b.adopted[o.Region].ID {
				removeImages(ctx, state, o.Image)
			}
		}
		ui.Errorf("Missing in %s, as on_copy_failure is \"keep\". %s", strings.Join(slices.Sorted(maps.Keys(b.report.FailedRegions)), ", "), b.howToResume())
		return nil
	case onFailureLater:
		b.hold(ctx, state)
		return fmt.Errorf("%w\nNothing was removed, as on_copy_failure is \"retry-later\". There is:\n%s\n%s", cause, b.held, b.howToResume())
	}
	return cause
}

// howToResume is what a user does to get what is missing.
func (b *build) howToResume() string {
	if b.config.SourceAMIFrom != "" {
		return "To make what is missing, run the same build again: what exists is found by its name."
	}
	return fmt.Sprintf("To make what is missing, set build_id = %q beside ami_regions and run the same build again.", b.config.buildID)
}

// hold leaves the images to another run of this build: from now on they are
// not this run's to remove, and no dead build's to sweep.
func (b *build) hold(ctx context.Context, state multistep.StateBag) {
	var lines []string
	var wg sync.WaitGroup
	for _, entry := range b.ledger.Left() {
		if entry.Kind != ledger.Image && entry.Kind != ledger.Snapshot {
			continue
		}
		lines = append(lines, fmt.Sprintf("  %s %s in %s", entry.Kind, entry.ID, entry.Region))
		b.ledger.Strike(entry.Region, entry.ID)
		wg.Go(func() {
			finish := b.finish(func(string, ...any) {})
			image := distribute.Image{Region: entry.Region, ID: entry.ID}
			if err := finish.Tag(ctx, b.clients.EC2(entry.Region), image, ec2Tags(map[string]string{tags.State: tags.Held})); err != nil {
				uiOf(state).Errorf("a sweep may take it for a dead build's after its %s: %s", tags.Expires, err)
			}
		})
	}
	wg.Wait()
	b.held = strings.Join(lines, "\n")
	if b.held == "" {
		b.held = "  nothing"
	}
}

// Cleanup removes every copy of a build that failed, those still pending too.
func (stepDistribute) Cleanup(state multistep.StateBag) {
	b := buildOf(state)
	if !b.takesBack() {
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

// targets are the images that the build is to make, those that exist already
// among them.
func (b *build) targets(state multistep.StateBag) ([]distribute.Target, error) {
	targets := b.config.targets(b.clients.Region())
	for i := range targets {
		target := &targets[i]
		var err error
		target.Name = b.nameIn(target.Region)
		if target.ImageTags, target.SnapshotTags, err = b.imageTags(state, target.Region); err != nil {
			return nil, err
		}
		if target.Have = b.adopted[target.Region]; target.Have.ID == "" && target.Region == b.image.Region && !b.intermediary && !b.sourced {
			target.Have = b.image
		}
		if made, again := b.made[target.Region]; again {
			target.Have = made
		}
	}
	return targets, nil
}

// targets are the images that the configuration wants, one a region.
func (c *Config) targets(build string) []distribute.Target {
	var targets []distribute.Target
	for _, region := range c.imageRegions(build) {
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

// toCopy are the regions that a copy is to be made to.
func (b *build) toCopy(targets []distribute.Target) []string {
	var regions []string
	for _, target := range targets {
		if target.Have.ID == "" {
			regions = append(regions, target.Region)
		}
	}
	return regions
}

// finish is what the configuration wants on each image.
func (b *build) finish(say func(string, ...any)) distribute.Finish {
	c := b.config
	return distribute.Finish{
		Users: c.AMIUsers, Groups: c.AMIGroups, OrgARNs: c.AMIOrgArns, OUARNs: c.AMIOuArns,
		ProductCodes:  c.AMIProductCodes,
		SnapshotUsers: c.SnapshotUsers, SnapshotGroups: c.SnapshotGroups,
		IMDSv2:      c.AMIIMDSSupport != "",
		DeprecateAt: c.deprecateAt(),
		Protect:     c.DeregistrationProtection.Enabled,
		Cooldown:    c.DeregistrationProtection.WithCooldown,
		Retry:       b.patience, Say: say,
	}
}

// inAllRegions calls with each image that is the build's, in all regions at once.
func (b *build) inAllRegions(images []distribute.Image, do func(distribute.Image) error) error {
	images = slices.DeleteFunc(slices.Clone(images), func(i distribute.Image) bool { return i.Borrowed })
	failures := make([]error, len(images))
	var wg sync.WaitGroup
	for i, image := range images {
		wg.Go(func() { failures[i] = do(image) })
	}
	wg.Wait()
	return errors.Join(failures...)
}

var released = []ec2types.Tag{{Key: aws.String(tags.State), Value: aws.String(tags.Released)}}
