// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/packerbuilderdata"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Adopt finds existing images: those of the same build (build_id), or the one
// to copy (source_ami_from). If it finds the image to copy, the steps that create
// one are skipped.
type Adopt struct{ noCleanup }

func (Adopt) Facts() (needs, yields []Fact) {
	return nil, facts(Adopted, SourceImage, ReplacedImages, BuildImage)
}

func (Adopt) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	var err error
	switch {
	case b.Config.SourceAMIFrom != "":
		err = b.adoptSource(ctx, state)
	case b.Config.BuildID != "":
		err = b.adoptBuild(ctx, state)
	default:
		return multistep.ActionContinue
	}
	if err != nil {
		return Halt(state, "%w", err)
	}
	if b.Report.Resumed && b.Config.Preflight != options.PreflightOnly {
		b.noteShares(ctx, state)
	}
	return multistep.ActionContinue
}

// noteShares adds to the ledger what a killed run may still share with other accounts, so
// that this run revokes or names it, however it ends.
func (b *Build) noteShares(ctx context.Context, state multistep.StateBag) {
	for _, a := range b.Config.AMIAccounts {
		lender := b.lender(a, UIOf(state).Sayf)
		for _, region := range slices.Sorted(maps.Keys(b.adopted)) {
			image := b.adopted[region]
			if len(image.Snapshots) == 0 {
				continue // a pending image is not shared
			}
			if _, err := lender.Note(ctx, image); err != nil {
				UIOf(state).Errorf("%s: %s may still be shared with account %s: %s", region, image.ID, a.ID, err)
			}
		}
	}
}

// adoptSource adopts the image of source_ami_from, and its existing copies with
// the configured name.
func (b *Build) adoptSource(ctx context.Context, state multistep.StateBag) error {
	c, ui := b.Config, UIOf(state)
	region, id := c.SourceFrom(b.Clients.Region())
	source, err := distribute.Describe(ctx, b.Clients.EC2(region), id)
	if err != nil {
		return fmt.Errorf("source_ami_from: looking up %s in %s: %w; want an image that this account can access: \"ami-...\" "+
			"for one in %s, else \"region:ami-...\"", id, region, err, b.Clients.Region())
	}
	if source.State != ec2types.ImageStateAvailable && source.State != ec2types.ImageStatePending {
		return fmt.Errorf("source_ami_from: %s in %s is %s (%s), want an image in the state available", id, region, source.State, distribute.Reason(source))
	}
	c.TakeName(aws.ToString(source.Name))
	b.adopt(ctx, state, region, source)
	b.Inherited[tags.CopiedFrom] = region + ":" + id
	ui.Sayf("Copying %s (%s) from %s without launching an instance", id, aws.ToString(source.Name), region)

	filters := map[string]string{"name": c.AMIName, "tag:" + tags.CopiedFrom: region + ":" + id}
	found, err := b.findImages(ctx, c.ImageRegions(b.Clients.Region()), filters)
	if err != nil {
		return fmt.Errorf("source_ami_from: %w", err)
	}
	for _, where := range slices.Sorted(maps.Keys(found)) {
		for _, image := range found[where] {
			if err := b.take(ctx, state, where, image); err != nil {
				return fmt.Errorf("source_ami_from: %w", err)
			}
		}
	}
	if !c.AMIEncryptBootVolume.True() {
		borrowed := b.image
		borrowed.Borrowed = true
		b.adopted[region] = borrowed
	}
	return nil
}

// adoptBuild adopts the images of an earlier run of this build.
func (b *Build) adoptBuild(ctx context.Context, state multistep.StateBag) error {
	c, ui, home := b.Config, UIOf(state), b.Clients.Region()
	regions := c.ImageRegions(home)
	if !slices.Contains(regions, home) {
		regions = append(regions, home)
	}
	found, err := b.findImages(ctx, regions, map[string]string{"tag:" + tags.BuildID: c.ID()})
	if err != nil {
		return fmt.Errorf("build_id: %w", err)
	}
	names := map[string]string{} // by name, an image with that name
	var sources []sourceImage
	for _, region := range slices.Sorted(maps.Keys(found)) {
		for _, image := range found[region] {
			name, isFinal := aws.ToString(image.Name), true
			switch name {
			case c.IntermediaryName():
				name, isFinal = tagMap(image.Tags)[tags.Name], false
			case c.ReplacementName():
				name = tagMap(image.Tags)[tags.Name]
				if i := slices.IndexFunc(found[region], func(i ec2types.Image) bool { return aws.ToString(i.Name) == name }); i >= 0 {
					if c.Preflight == options.PreflightOnly {
						continue
					}
					// The image was registered again under its final name; this one is left over.
					if err := b.remover(region).Deregister(ctx, seenImage(region, aws.ToString(image.ImageId))); err != nil {
						return fmt.Errorf("build_id: removing %s, which shares the snapshots of %s: %w", aws.ToString(image.ImageId), aws.ToString(found[region][i].ImageId), err)
					}
					continue
				}
				b.replaces[region] = true
			}
			if name != "" {
				names[name] = aws.ToString(image.ImageId) + " in " + region
			}
			if isFinal || image.State == ec2types.ImageStateFailed {
				if err := b.take(ctx, state, region, image); err != nil {
					return fmt.Errorf("build_id: %w", err)
				}
			}
			if image.State == ec2types.ImageStateAvailable || image.State == ec2types.ImageStatePending {
				if tagMap(image.Tags)[tags.State] == tags.Building {
					b.unreleased = append(b.unreleased, distribute.Of(region, image))
				}
				sources = append(sources, sourceImage{region, image})
			}
		}
	}
	switch len(names) {
	case 0:
	case 1:
		for name := range names {
			if name != c.AMIName {
				ui.Sayf("Using the name of the existing images, %q, instead of ami_name (%q)", name, c.AMIName)
				c.AMIName = name
			}
		}
	default:
		return fmt.Errorf("build_id: the images of build %s have different names: %v, want one name; deregister the images that do not belong to this build", c.ID(), names)
	}
	if len(sources) == 0 {
		ui.Sayf("Found no image of build %s to resume from: building the image again", c.ID())
		b.clearLeft(ctx, state)
		return nil
	}
	// The image of the build's own region, else one that is available.
	slices.SortStableFunc(sources, func(x, y sourceImage) int { return x.rank(home) - y.rank(home) })
	source := sources[0]
	b.adopt(ctx, state, source.region, source.image)
	b.intermediary = aws.ToString(source.image.Name) == c.IntermediaryName()
	ui.Sayf("Resuming build %s from %s in %s without launching an instance", c.ID(), b.image.ID, source.region)
	return nil
}

// sourceImage is an image to copy the others from.
type sourceImage struct {
	region string
	image  ec2types.Image
}

func (s sourceImage) rank(home string) int {
	rank := 0
	if s.region != home {
		rank++
	}
	if s.image.State != ec2types.ImageStateAvailable {
		rank += 2
	}
	return rank
}

// adopt sets the image to copy.
func (b *Build) adopt(ctx context.Context, state multistep.StateBag, region string, image ec2types.Image) {
	b.image, b.Sourced = distribute.Of(region, image), true
	b.verdicts[region] = tagMap(image.Tags)[tags.LaunchTest]
	b.Report.Architecture = string(image.Architecture)
	b.Report.Resumed = b.Config.BuildID != ""
	known := tagMap(image.Tags)
	for _, key := range tags.Inherited {
		if known[key] != "" && (key != tags.Family || b.Config.ReleaseFamily == "") {
			b.Inherited[key] = known[key]
		}
	}
	// Tags may refer to the source image. If it no longer exists, they are less
	// complete.
	original := image
	if id := known[tags.SourceAMI]; id != "" {
		original = ec2types.Image{ImageId: aws.String(id)}
		if found, err := distribute.Describe(ctx, b.Clients.EC2(b.Clients.Region()), id); err == nil {
			original = found
		}
	}
	state.Put(keySourceImage, &original)
	(&awscommon.StepSetGeneratedData{GeneratedData: &packerbuilderdata.GeneratedData{State: state}}).Run(ctx, state)
}

// take adopts an existing image for its region. It removes a failed image, so
// that the region is copied to again.
func (b *Build) take(ctx context.Context, state multistep.StateBag, region string, image ec2types.Image) error {
	id := aws.ToString(image.ImageId)
	switch image.State {
	case ec2types.ImageStateAvailable, ec2types.ImageStatePending:
		if have := b.adopted[region]; have.ID != "" {
			return fmt.Errorf("%s and %s in %s both belong to this build, want one; deregister the other", have.ID, id, region)
		}
		b.adopted[region] = distribute.Of(region, image)
		b.verdicts[region] = tagMap(image.Tags)[tags.LaunchTest]
		UIOf(state).Sayf("%s: found %s (%s)", region, id, image.State)
		return nil
	case ec2types.ImageStateDisabled:
		return fmt.Errorf("%s in %s is disabled; enable it (aws ec2 enable-image --image-id %[1]s --region %[2]s) or deregister it", id, region)
	}
	if b.Config.Preflight == options.PreflightOnly {
		UIOf(state).Sayf("%s: %s is %s: %s; a build without preflight = \"only\" removes it", region, id, image.State, distribute.Reason(image))
		b.spared = append(b.spared, region)
		return nil
	}
	UIOf(state).Sayf("%s: removing %s, which is %s: %s", region, id, image.State, distribute.Reason(image))
	if err := b.remover(region).Remove(ctx, seenImage(region, id)); err != nil {
		return fmt.Errorf("removing %s, which is %s, in %s: %w", id, image.State, region, err)
	}
	b.freed[region] = true
	return nil
}

// AwaitSource waits for an adopted image that is still pending.
type AwaitSource struct{ noCleanup }

func (AwaitSource) Facts() (needs, yields []Fact) {
	return facts(Adopted, BuildImage), facts(Adopted, BuildImage)
}

func (AwaitSource) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	if b.Config.BuildID != "" && b.Sourced {
		defer b.clearLeft(ctx, state) // not before, as the pending image may need the leftover instance
	}
	if !b.Sourced || len(b.image.Snapshots) > 0 {
		return multistep.ActionContinue
	}
	UIOf(state).Sayf("Waiting for %s...", b.image.ID)
	image, err := distribute.WaitAvailable(ctx, b.Clients.EC2(b.image.Region), b.image, b.wait, b.progress(UIOf(state)))
	if err != nil {
		entry := cleanup.Entry{Kind: cleanup.Image, Region: b.image.Region, ID: b.image.ID}
		return Halt(state, "%w; if it never becomes available, remove it (%s) and use another image", err, b.Command(entry))
	}
	UIOf(state).Sayf("%s: %s is available", image.Region, image.ID)
	borrowed := b.adopted[image.Region].Borrowed
	b.image = image
	if b.adopted[image.Region].ID == image.ID {
		image.Borrowed = borrowed
		b.adopted[image.Region] = image
	}
	return multistep.ActionContinue
}
