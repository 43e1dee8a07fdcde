// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Distribute copies the image to all its regions concurrently, and describes
// and shares it in each region as soon as it is available.
type Distribute struct{}

func (Distribute) Facts() (needs, yields []Fact) {
	return facts(Adopted, SourceImage, ReplacedImages, Benchmark, BuildImage, LaunchTests), facts(BuildImage, Images)
}

func (Distribute) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if b.Config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	copies, err := b.copies(state, b.image)
	if err != nil {
		return Halt(state, "distributing: %w", err)
	}
	targets, err := b.targets(state)
	if err != nil {
		return Halt(state, "distributing: %w", err)
	}
	if regions := b.toCopy(targets); len(regions) > 0 {
		ui.Sayf("Copying %s to %s...", b.image.ID, strings.Join(regions, ", "))
	}
	finish := b.finish(ui.Sayf)
	copies.Targets = targets
	copies.Finish = func(ctx context.Context, image distribute.Image) error {
		b.beginTest(ui, image)
		return finish.Apply(ctx, b.Clients.EC2(image.Region), image)
	}
	copies.Say, copies.Pending = ui.Sayf, reportPending(ui)
	ctx, end := b.untilRejected(ctx)
	defer end()
	outcomes := copies.Run(ctx, func(region string) distribute.CopyAPI { return b.Clients.EC2(region) })

	if err := b.rejection(); err != nil {
		return Halt(state, "%w", err)
	}
	b.Images = nil
	for _, o := range outcomes {
		if o.Err == nil {
			b.Images = append(b.Images, o.Image)
			b.made[o.Region] = o.Image
		}
	}
	slices.SortFunc(b.Images, func(x, y distribute.Image) int { return strings.Compare(x.Region, y.Region) })
	if len(b.Images) < len(targets) {
		if err := b.missing(ctx, state, outcomes); err != nil {
			return Halt(state, "%w", err)
		}
	}
	if b.intermediary {
		b.awaitLaunched(ctx, b.image.ID)
		removeImages(ctx, state, b.image)
		b.image = distribute.Image{}
	}
	return multistep.ActionContinue
}

// copies returns the configuration of an image's copies, without their targets.
func (b *Build) copies(state multistep.StateBag, source distribute.Image) (distribute.Copies, error) {
	description, err := b.description(state, b.Clients.Region())
	return distribute.Copies{
		Source:            source,
		SourceTook:        b.imageTook,
		Description:       description,
		Token:             uuid.TimeOrderedUUID(), // not the attempt's: -on-error=ask can retry a step
		CompletionMinutes: b.Config.AMISnapshotCopyDurationMinutes,
		Parallel:          b.Config.CopyParallelism,
		StopAtFirst:       b.Config.OnCopyFailure != options.OnFailureKeep,
		Wait:              b.wait,
		Retry:             b.Patience,
		Ledger:            b.ledger,
		Remover:           b.remover(""),
	}, err
}

// missing applies on_copy_failure to regions without an image. Its error ends the
// build.
func (b *Build) missing(ctx context.Context, state multistep.StateBag, outcomes []distribute.Outcome) error {
	cause := distribute.FirstCause(outcomes)
	if ctx.Err() != nil { // cancelled: everything is removed
		return cause
	}
	ui := UIOf(state)
	switch b.Config.OnCopyFailure {
	case options.OnFailureKeep:
		if len(b.Images) == 0 {
			return cause
		}
		b.Report.FailedRegions = map[string]string{}
		for _, o := range outcomes {
			if o.Err == nil {
				continue
			}
			b.Report.FailedRegions[o.Region] = o.Err.Error()
			ui.Errorf("%s: no image: %s", o.Region, o.Err)
			if o.Image.ID != "" && o.Image.ID != b.adopted[o.Region].ID {
				removeImages(ctx, state, o.Image)
			}
		}
		ui.Errorf("Continuing without images in %s (on_copy_failure = \"keep\"). %s", strings.Join(slices.Sorted(maps.Keys(b.Report.FailedRegions)), ", "), b.howToResume())
		return nil
	case options.OnFailureLater:
		b.hold(ctx, state)
		return fmt.Errorf("%w\nNothing was removed (on_copy_failure = \"retry-later\"). Existing resources:\n%s\n%s", cause, b.held, b.howToResume())
	}
	return cause
}

// hold keeps the images for another run of this build: this run and a sweep do
// not remove them.
func (b *Build) hold(ctx context.Context, state multistep.StateBag) {
	var lines []string
	var wg sync.WaitGroup
	for _, entry := range b.ledger.Left() {
		if entry.Kind != cleanup.Image && entry.Kind != cleanup.Snapshot {
			continue
		}
		lines = append(lines, fmt.Sprintf("  %s %s in %s", entry.Kind, entry.ID, entry.Place()))
		b.ledger.Strike(entry)
		wg.Go(func() {
			finish := b.finish(func(string, ...any) {})
			image := distribute.Image{Region: entry.Region, ID: entry.ID}
			if err := finish.Tag(ctx, b.EC2Of(entry.Account, entry.Region), image, ec2Tags(map[string]string{tags.State: tags.Held})); err != nil {
				UIOf(state).Errorf("could not tag %s in %s as held; `sweep` may delete it once the time in its tag %s has passed: %s", entry.ID, entry.Region, tags.Expires, err)
			}
		})
	}
	wg.Wait()
	b.held = strings.Join(lines, "\n")
	if b.held == "" {
		b.held = "  none"
	}
}

// Cleanup removes all copies of a failed build, pending ones included.
func (Distribute) Cleanup(state multistep.StateBag) {
	b := BuildOf(state)
	if !b.takesBack() {
		return
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	removeImages(ctx, state, b.copiesLeft()...)
}

// copiesLeft returns the ledger's images of the build's account except the source of the
// copies.
// CreateImage removes that later: EC2 refuses while copies read its snapshots.
func (b *Build) copiesLeft() []distribute.Image {
	var images []distribute.Image
	for _, entry := range b.ledger.Images() {
		if entry.ID != b.image.ID && entry.Account == "" {
			images = append(images, distribute.Image{Region: entry.Region, ID: entry.ID})
		}
	}
	return images
}

// Targets returns the images to create, existing ones included.
func (b *Build) targets(state multistep.StateBag) ([]distribute.Target, error) {
	targets := b.Config.Targets(b.Clients.Region())
	for i := range targets {
		var err error
		if targets[i], err = b.described(state, targets[i]); err != nil {
			return nil, err
		}
		target := &targets[i]
		if target.Have = b.adopted[target.Region]; target.Have.ID == "" && target.Region == b.image.Region && !b.intermediary && !b.Sourced {
			target.Have = b.image
		}
		if made, again := b.made[target.Region]; again {
			target.Have = made
		}
	}
	return targets, nil
}

// described returns a target with its name and tags.
func (b *Build) described(state multistep.StateBag, target distribute.Target) (distribute.Target, error) {
	var err error
	target.Name, target.NameFreed = b.nameIn(target.Region), b.freed[target.Region]
	target.ImageTags, target.SnapshotTags, err = b.imageTags(state, target.Region)
	return target, err
}

// toCopy returns the regions to copy to.
func (b *Build) toCopy(targets []distribute.Target) []string {
	var regions []string
	for _, target := range targets {
		if target.Have.ID == "" {
			regions = append(regions, target.Region)
		}
	}
	return regions
}
