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
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/packerbuilderdata"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// stepAdopt finds what exists already: the images of the same build (build_id),
// or the image that is only to be copied (source_ami_from). Where it finds the
// image to copy, the steps that make one are left out.
type stepAdopt struct{ noCleanup }

func (stepAdopt) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := buildOf(state)
	var err error
	switch {
	case b.config.SourceAMIFrom != "":
		err = b.adoptSource(ctx, state)
	case b.config.BuildID != "":
		err = b.adoptBuild(ctx, state)
	default:
		return multistep.ActionContinue
	}
	if err != nil {
		return halt(state, "%w", err)
	}
	return multistep.ActionContinue
}

// Names that an image has for the time being; the build's id makes them new.
func (c *Config) intermediaryName() string { return "ethminer-intermediary-" + c.buildID }

// adoptSource takes the image of source_ami_from, and the copies of it that
// have the name already.
func (b *build) adoptSource(ctx context.Context, state multistep.StateBag) error {
	c, ui := b.config, uiOf(state)
	region, id := c.sourceFrom(b.clients.Region())
	source, err := distribute.Describe(ctx, b.clients.EC2(region), id)
	if err != nil {
		return fmt.Errorf("source_ami_from: looking for %s in %s: %w; expected an image that this account can see, as \"ami-...\" "+
			"for one in %s, else \"region:ami-...\"", id, region, err, b.clients.Region())
	}
	if source.State != ec2types.ImageStateAvailable && source.State != ec2types.ImageStatePending {
		return fmt.Errorf("source_ami_from: %s in %s is %s: %s; expected an image that is available", id, region, source.State, distribute.Reason(source))
	}
	if c.nameIsDefault {
		c.AMIName = aws.ToString(source.Name)
	}
	b.adopt(ctx, state, region, source)
	b.inherited[tags.CopiedFrom] = region + ":" + id
	ui.Sayf("Copying %s (%s) of %s, without an instance", id, aws.ToString(source.Name), region)

	filters := map[string]string{"name": c.AMIName, "tag:" + tags.CopiedFrom: region + ":" + id}
	found, err := b.findImages(ctx, c.imageRegions(b.clients.Region()), filters)
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

// adoptBuild takes the images that an earlier run of this build has left.
func (b *build) adoptBuild(ctx context.Context, state multistep.StateBag) error {
	c, ui, home := b.config, uiOf(state), b.clients.Region()
	regions := c.imageRegions(home)
	if !slices.Contains(regions, home) {
		regions = append(regions, home)
	}
	found, err := b.findImages(ctx, regions, map[string]string{"tag:" + tags.BuildID: c.buildID})
	if err != nil {
		return fmt.Errorf("build_id: %w", err)
	}
	names := map[string]string{} // by the name, an image that has it
	var sources []sourceImage
	for _, region := range slices.Sorted(maps.Keys(found)) {
		for _, image := range found[region] {
			name, isFinal := aws.ToString(image.Name), true
			switch name {
			case c.intermediaryName():
				name, isFinal = tagMap(image.Tags)[tags.Name], false
			case c.replacementName():
				name = tagMap(image.Tags)[tags.Name]
				if i := slices.IndexFunc(found[region], func(i ec2types.Image) bool { return aws.ToString(i.Name) == name }); i >= 0 {
					if c.Preflight == preflightOnly {
						continue
					}
					// It was registered under its name, and is only left over.
					if err := distribute.Deregister(ctx, b.clients.EC2(region), region, aws.ToString(image.ImageId), b.ledger); err != nil {
						return fmt.Errorf("build_id: %s has the snapshots of %s too: %w", aws.ToString(image.ImageId), aws.ToString(found[region][i].ImageId), err)
					}
					continue
				}
				b.replaces[region] = true
			}
			if name != "" {
				names[name] = aws.ToString(image.ImageId) + " in " + region
			}
			if isFinal {
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
				ui.Sayf("The build's images are called %q: ami_name (%q) is not used", name, c.AMIName)
				c.AMIName = name
			}
		}
	default:
		return fmt.Errorf("build_id: the images of build %s have different names: %v; expected one name: deregister those that are not its", c.buildID, names)
	}
	if len(sources) == 0 {
		ui.Sayf("Build %s has left no image to go on from: building it anew", c.buildID)
		b.clearLeft(ctx, state)
		return nil
	}
	// The image of the build's own region, else one that is ready.
	slices.SortStableFunc(sources, func(x, y sourceImage) int { return x.rank(home) - y.rank(home) })
	source := sources[0]
	b.adopt(ctx, state, source.region, source.image)
	b.intermediary = aws.ToString(source.image.Name) == c.intermediaryName()
	ui.Sayf("Resuming build %s from %s in %s: no instance is launched", c.buildID, b.image.ID, source.region)
	return nil
}

// sourceImage is an image that the others can be copied from.
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

// adopt makes an image the one that is copied.
func (b *build) adopt(ctx context.Context, state multistep.StateBag, region string, image ec2types.Image) {
	b.image, b.sourced = distribute.Of(region, image), true
	b.report.Architecture = string(image.Architecture)
	b.report.Resumed = b.config.BuildID != ""
	known := tagMap(image.Tags)
	for _, key := range tags.Inherited {
		if known[key] != "" && (key != tags.Family || b.config.ReleaseFamily == "") {
			b.inherited[key] = known[key]
		}
	}
	// What the instance was launched from is what tags may refer to. It may be
	// gone by now, and then they say less.
	original := image
	if id := known[tags.SourceAMI]; id != "" {
		original = ec2types.Image{ImageId: aws.String(id)}
		if found, err := distribute.Describe(ctx, b.clients.EC2(b.clients.Region()), id); err == nil {
			original = found
		}
	}
	state.Put(keySourceImage, &original)
	(&awscommon.StepSetGeneratedData{GeneratedData: &packerbuilderdata.GeneratedData{State: state}}).Run(ctx, state)
}

// take makes an image that a region has the region's own. One that has failed
// is removed, so that it can be copied anew.
func (b *build) take(ctx context.Context, state multistep.StateBag, region string, image ec2types.Image) error {
	id := aws.ToString(image.ImageId)
	switch image.State {
	case ec2types.ImageStateAvailable, ec2types.ImageStatePending:
		if have := b.adopted[region]; have.ID != "" {
			return fmt.Errorf("%s and %s in %s are both this build's; expected one: deregister the other", have.ID, id, region)
		}
		b.adopted[region] = distribute.Of(region, image)
		uiOf(state).Sayf("%s: %s is there (%s)", region, id, image.State)
		return nil
	case ec2types.ImageStateDisabled:
		return fmt.Errorf("%s in %s is disabled; enable it (aws ec2 enable-image --image-id %s --region %s) or deregister it", id, region, id, region)
	}
	if b.config.Preflight == preflightOnly {
		uiOf(state).Sayf("%s: %s is %s: %s; a build would remove it", region, id, image.State, distribute.Reason(image))
		b.spared = append(b.spared, region)
		return nil
	}
	uiOf(state).Sayf("%s: %s is %s: %s; it is removed", region, id, image.State, distribute.Reason(image))
	if err := distribute.Remove(ctx, b.clients.EC2(region), region, id, b.ledger); err != nil {
		return fmt.Errorf("removing %s, which is %s, in %s: %w", id, image.State, region, err)
	}
	return nil
}

// findImages looks in all regions at once.
func (b *build) findImages(ctx context.Context, regions []string, filters map[string]string) (map[string][]ec2types.Image, error) {
	lists, failures := make([][]ec2types.Image, len(regions)), make([]error, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() {
			if lists[i], failures[i] = distribute.Find(ctx, b.clients.EC2(region), filters); failures[i] != nil {
				failures[i] = fmt.Errorf("%s: %w (is it a region that exists, and that the account has opted in to?)", region, failures[i])
			}
		})
	}
	wg.Wait()
	found := map[string][]ec2types.Image{}
	for i, region := range regions {
		found[region] = lists[i]
	}
	return found, errors.Join(failures...)
}

// sourceFrom reads source_ami_from: an image, perhaps with its region.
func (c *Config) sourceFrom(home string) (region, id string) {
	region, id, found := strings.Cut(c.SourceAMIFrom, ":")
	if !found {
		return home, region
	}
	return region, id
}

// stepAwaitSource waits for an adopted image that is still being made.
type stepAwaitSource struct{ noCleanup }

func (stepAwaitSource) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := buildOf(state)
	if b.config.BuildID != "" && b.sourced {
		defer b.clearLeft(ctx, state) // not before: the image may be of an instance that is left
	}
	if !b.sourced || len(b.image.Snapshots) > 0 {
		return multistep.ActionContinue
	}
	uiOf(state).Sayf("Waiting for %s...", b.image.ID)
	image, err := distribute.WaitAvailable(ctx, b.clients.EC2(b.image.Region), b.image, b.wait, func(line string) { uiOf(state).Sayf("%s: %s", b.image.ID, line) })
	if err != nil {
		entry := ledger.Entry{Kind: ledger.Image, Region: b.image.Region, ID: b.image.ID}
		return halt(state, "%w; if it will not be available any more, remove it (%s) and take another", err, b.command(entry))
	}
	borrowed := b.adopted[image.Region].Borrowed
	b.image = image
	if b.adopted[image.Region].ID == image.ID {
		image.Borrowed = borrowed
		b.adopted[image.Region] = image
	}
	return multistep.ActionContinue
}
