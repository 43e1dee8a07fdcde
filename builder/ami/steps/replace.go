// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// EC2 requires unique image names per region, and cannot rename an image. So if
// force_deregister finds the name in use, the new image is created under a
// temporary name (replacementName). Once the new images are available in all
// regions, each of these regions deregisters the old image, immediately registers
// the snapshots of the new image under the final name, and deregisters the image
// of the temporary name. At any time, the old or the new image exists.

// FindOld finds the regions with an image to replace (force_deregister).
type FindOld struct{ noCleanup }

func (FindOld) Facts() (needs, yields []Fact) {
	return facts(Adopted, SourceImage, BuildImage), facts(ReplacedImages)
}

func (FindOld) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if !b.Config.AMIForceDeregister || b.Config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	found, err := b.findImages(ctx, b.Config.ImageRegions(b.Clients.Region()), map[string]string{"name": b.Config.AMIName})
	if err != nil {
		return Halt(state, "force_deregister: %w", err)
	}
	for region, images := range found {
		for _, old := range images {
			if aws.ToString(old.ImageId) == b.adopted[region].ID || aws.ToString(old.ImageId) == b.image.ID {
				continue
			}
			if source, ok := state.Get(keySourceImage).(*ec2types.Image); ok {
				if why := distribute.Renamable(*source); why != "" {
					return Halt(state, "force_deregister: %s cannot be replaced safely by an image of %s: %s; registering from snapshots would lose this; "+
						"choose another ami_name", aws.ToString(old.ImageId), aws.ToString(source.ImageId), why)
				}
			}
			b.replaces[region] = true
			ui.Sayf("%s: %s has the name %q; replacing it after the new images are available in all regions",
				region, aws.ToString(old.ImageId), b.Config.AMIName)
		}
	}
	return multistep.ActionContinue
}

// Replace replaces the old images whose name was in use.
type Replace struct{ noCleanup }

func (Replace) Facts() (needs, yields []Fact) {
	return facts(ReplacedImages, Images, AccountImages, LaunchTests), facts(Images)
}

func (Replace) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if !b.Config.AMIForceDeregister {
		return multistep.ActionContinue
	}
	if len(b.replaces) == 0 {
		if b.Config.BuildID != "" && b.Config.AMIForceDeleteSnapshot { // an earlier run may have ended before this
			b.deleteReplaced(ctx, ui.Sayf, ui.Errorf)
		}
		return multistep.ActionContinue
	}
	if err := ctx.Err(); err != nil {
		return Halt(state, "replacing: %w", err)
	}
	// From here on nothing is removed, as a region might be left without an image.
	// A cancel waits for the end of the step.
	b.committed = true
	b.HandOver()
	ctx = context.WithoutCancel(ctx)
	failures := make([]error, len(b.Images))
	var wg sync.WaitGroup
	for i := range b.Images {
		image := &b.Images[i]
		if b.replaces[image.Region] && !image.Borrowed {
			wg.Go(func() { failures[i] = b.replace(ctx, state, image) })
		}
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return Halt(state, "%w", err)
	}
	if b.Config.AMIForceDeleteSnapshot {
		b.deleteReplaced(ctx, ui.Sayf, ui.Errorf)
	}
	return multistep.ActionContinue
}

// replace replaces the old image of one region. Its error names the images that
// exist.
func (b *Build) replace(ctx context.Context, state multistep.StateBag, image *distribute.Image) error {
	ui, region, name := UIOf(state), image.Region, b.Config.AMIName
	client, finish := b.Clients.EC2(region), b.finish(ui.Sayf)
	temporary, err := distribute.Describe(ctx, client, image.ID)
	if why := distribute.Renamable(temporary); err == nil && why != "" {
		err = errors.New(why + "; registering from snapshots would lose this")
	}
	if err != nil {
		return fmt.Errorf("%s: the old image is untouched; the new one is %s, named %q: %w", region, image.ID, b.Config.ReplacementName(), err)
	}
	if aws.ToString(temporary.Name) == name {
		return nil // an earlier run has done this
	}
	old, err := distribute.Find(ctx, client, map[string]string{"name": name})
	others := b.remover(region)
	others.Ledger = new(cleanup.Ledger)
	for _, o := range old {
		if err == nil && b.Config.AMIForceDeleteSnapshot {
			mark := []ec2types.Tag{{Key: aws.String(tags.ReplacedBy), Value: aws.String(b.Config.ID())}}
			was := distribute.Image{Region: region, ID: aws.ToString(o.ImageId), Snapshots: cleanup.SnapshotsOf(o)} // disabled or not
			err = finish.Tag(ctx, client, was, mark)
		}
		if err == nil { // not this build's image, so it is no leftover if it cannot be removed
			err = others.Deregister(ctx, seenImage(region, aws.ToString(o.ImageId)))
		}
		if err == nil {
			ui.Sayf("%s: deregistered %s, which had the name %q", region, aws.ToString(o.ImageId), name)
		}
	}
	if err != nil {
		return fmt.Errorf("force_deregister: %s: the old image still exists; the new one is %s, named %q: %w", region, image.ID, b.Config.ReplacementName(), err)
	}
	known := tagMap(temporary.Tags)
	delete(known, tags.Name)
	mark := ec2types.Tag{Key: aws.String(tags.BuildID), Value: aws.String(b.Config.ID())}
	var final distribute.Image
	naming := finish
	naming.Retry.NameFreed = true // by this run or an earlier one
	err = naming.Patient(ctx, *image, func() (err error) {
		final, err = distribute.Register(ctx, client, temporary, region, name, ec2Tags(known), mark)
		return err
	})
	if err != nil {
		return fmt.Errorf("force_deregister: %s: the old image is deregistered, its snapshots still exist; the new one is %s, named %q: %w",
			region, image.ID, b.Config.ReplacementName(), err)
	}
	ui.Sayf("%s: the new image is %s, named %q", region, final.ID, name)
	if err := b.remover(region).Deregister(ctx, seenImage(region, image.ID)); err != nil {
		b.ledger.Add(cleanup.Entry{Kind: cleanup.Image, Region: region, ID: image.ID})
		ui.Errorf("%s: could not deregister %s, which has the same snapshots under the name %q: %s", region, image.ID, b.Config.ReplacementName(), err)
	}
	*image = final
	if err := finish.Apply(ctx, client, final); err != nil {
		return fmt.Errorf("force_deregister: the new image: %w", err)
	}
	if err := b.awaitFound(ctx, client, final.ID); err != nil {
		ui.Errorf("%s: looking for %s, which post-processors may not find yet: %s", region, final.ID, err)
	}
	return nil
}

// awaitFound waits until EC2 finds a new image. Post-processors look for it.
func (b *Build) awaitFound(ctx context.Context, client ec2.DescribeImagesAPIClient, id string) error {
	return b.settles().Until(ctx, id+" to be found", func(ctx context.Context) (bool, error) {
		found, err := distribute.Find(ctx, client, map[string]string{"image-id": id})
		return len(found) > 0, err
	})
}

// deleteReplaced deletes the snapshots of the old images. A failure does not fail
// the build.
func (b *Build) deleteReplaced(ctx context.Context, say, complain func(string, ...any)) {
	_ = b.inAllRegions(b.Images, func(image distribute.Image) error {
		if !b.replaces[image.Region] && b.Config.BuildID == "" {
			return nil
		}
		deleted, err := distribute.DeleteSnapshots(ctx, b.remover(image.Region), image.Region, tags.ReplacedBy, b.Config.ID())
		if len(deleted) > 0 {
			say("%s: deleted %s of the old image", image.Region, strings.Join(deleted, ", "))
		}
		if err != nil {
			complain("force_delete_snapshot: %s: could not delete snapshots of the old image, tagged %s = %s: %s",
				image.Region, tags.ReplacedBy, b.Config.ID(), err)
		}
		return nil
	})
}
