// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// EC2 allows one image of a name in a region, and cannot rename one. So where
// force_deregister finds the name taken, the new image is made under a name of
// its own (replacementName), and once the new images are good in all regions,
// each of those regions changes over: the old image is deregistered, the new
// one registered on its own snapshots under the name, at once, and the image of
// the other name deregistered. At each moment there is the old image, or one
// that is as good as the new one.

func (c *Config) replacementName() string { return "ethminer-replacement-" + c.buildID }

// nameIn is the name that the image of a region is made under.
func (b *build) nameIn(region string) string {
	if b.replaces[region] {
		return b.config.replacementName()
	}
	return b.config.AMIName
}

// stepFindOld finds the regions where force_deregister has something to replace.
type stepFindOld struct{ noCleanup }

func (stepFindOld) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if !b.config.AMIForceDeregister || b.config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	found, err := b.findImages(ctx, b.config.imageRegions(b.clients.Region()), map[string]string{"name": b.config.AMIName})
	if err != nil {
		return halt(state, "force_deregister: %w", err)
	}
	for region, images := range found {
		for _, old := range images {
			if aws.ToString(old.ImageId) == b.adopted[region].ID || aws.ToString(old.ImageId) == b.image.ID {
				continue
			}
			if source, ok := state.Get(keySourceImage).(*ec2types.Image); ok {
				if why := distribute.Renamable(*source); why != "" {
					return halt(state, "force_deregister: %s cannot be replaced safely by an image made from %s: %s, which an image that is registered from snapshots loses; "+
						"choose another ami_name", aws.ToString(old.ImageId), aws.ToString(source.ImageId), why)
				}
			}
			b.replaces[region] = true
			ui.Sayf("%s: %s has the name %q; it is replaced once the new images are good in all regions",
				region, aws.ToString(old.ImageId), b.config.AMIName)
		}
	}
	return multistep.ActionContinue
}

// stepReplace changes over to the new images where the name was taken.
type stepReplace struct{ noCleanup }

func (stepReplace) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if !b.config.AMIForceDeregister {
		return multistep.ActionContinue
	}
	if len(b.replaces) == 0 {
		if b.config.BuildID != "" && b.config.AMIForceDeleteSnapshot { // an earlier run may not have come so far
			b.deleteReplaced(ctx, ui.Sayf, ui.Errorf)
		}
		return multistep.ActionContinue
	}
	if err := ctx.Err(); err != nil {
		return halt(state, "replacing: %w", err)
	}
	// From here on nothing is taken back: the images are good and released, and
	// without them a region might be left with none. A cancel waits for the end.
	b.committed = true
	b.handOver()
	ctx = context.WithoutCancel(ctx)
	failures := make([]error, len(b.images))
	var wg sync.WaitGroup
	for i := range b.images {
		image := &b.images[i]
		if b.replaces[image.Region] && !image.Borrowed {
			wg.Go(func() { failures[i] = b.replace(ctx, state, image) })
		}
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return halt(state, "%w", err)
	}
	if b.config.AMIForceDeleteSnapshot {
		b.deleteReplaced(ctx, ui.Sayf, ui.Errorf)
	}
	return multistep.ActionContinue
}

// replace changes one region over. What it returns as an error says what there is.
func (b *build) replace(ctx context.Context, state multistep.StateBag, image *distribute.Image) error {
	ui, region, name := uiOf(state), image.Region, b.config.AMIName
	client, finish := b.clients.EC2(region), b.finish(ui.Sayf)
	temporary, err := distribute.Describe(ctx, client, image.ID)
	if why := distribute.Renamable(temporary); err == nil && why != "" {
		err = errors.New(why + ", which an image that is registered from snapshots loses")
	}
	if err != nil {
		return fmt.Errorf("%s: the old image is untouched; the new one is %s, named %q: %w", region, image.ID, b.config.replacementName(), err)
	}
	if aws.ToString(temporary.Name) == name {
		return nil // an earlier run came this far
	}
	old, err := distribute.Find(ctx, client, map[string]string{"name": name})
	for _, o := range old {
		if err == nil && b.config.AMIForceDeleteSnapshot {
			mark := []ec2types.Tag{{Key: aws.String(tags.ReplacedBy), Value: aws.String(b.config.buildID)}}
			was := distribute.Of(region, o)
			err = finish.Tag(ctx, client, was, mark)
		}
		if err == nil { // it is not this build's: what cannot be removed is no leak of it
			err = distribute.Deregister(ctx, client, region, aws.ToString(o.ImageId), new(ledger.Ledger))
		}
		if err == nil {
			ui.Sayf("%s: deregistered %s, which had the name %q", region, aws.ToString(o.ImageId), name)
		}
	}
	if err != nil {
		return fmt.Errorf("force_deregister: %s: the old image is still there; the new one is %s, named %q: %w", region, image.ID, b.config.replacementName(), err)
	}
	known := tagMap(temporary.Tags)
	delete(known, tags.Name)
	mark := ec2types.Tag{Key: aws.String(tags.BuildID), Value: aws.String(b.config.buildID)}
	var final distribute.Image
	err = finish.Patient(ctx, *image, func() (err error) {
		final, err = distribute.Register(ctx, client, temporary, region, name, ec2Tags(known), mark)
		return err
	})
	if err != nil {
		return fmt.Errorf("force_deregister: %s: the old image is deregistered, its snapshots are there; the new one is %s, named %q: %w",
			region, image.ID, b.config.replacementName(), err)
	}
	ui.Sayf("%s: the new image is %s, named %q", region, final.ID, name)
	if err := distribute.Deregister(ctx, client, region, image.ID, b.ledger); err != nil {
		b.ledger.Add(ledger.Entry{Kind: ledger.Image, Region: region, ID: image.ID})
		ui.Errorf("%s: %s, which has the same snapshots under the name %q, is still there: %s", region, image.ID, b.config.replacementName(), err)
	}
	*image = final
	if err := finish.Apply(ctx, client, final); err != nil {
		return fmt.Errorf("force_deregister: the new image: %w", err)
	}
	return nil
}

// reportCommitted says what a build that failed or was cancelled while it
// replaced images has left in place of the old ones.
func (b *build) reportCommitted(ui packersdk.Ui) {
	if !b.committed {
		return
	}
	var there []string
	for _, image := range b.images {
		there = append(there, fmt.Sprintf("  %s: %s", image.Region, image.ID))
	}
	ui.Errorf("The new images are good, and stay:\n%s\n%s", strings.Join(there, "\n"), b.howToResume())
}

// deleteReplaced deletes the snapshots of the old images. The build is good
// also if they stay.
func (b *build) deleteReplaced(ctx context.Context, say, complain func(string, ...any)) {
	_ = b.inAllRegions(b.images, func(image distribute.Image) error {
		if !b.replaces[image.Region] && b.config.BuildID == "" {
			return nil
		}
		deleted, err := distribute.DeleteSnapshots(ctx, b.clients.EC2(image.Region), tags.ReplacedBy, b.config.buildID)
		if len(deleted) > 0 {
			say("%s: deleted %s of the old image", image.Region, strings.Join(deleted, ", "))
		}
		if err != nil {
			complain("force_delete_snapshot: %s: snapshots of the old image, tagged %s = %s, are still there: %s",
				image.Region, tags.ReplacedBy, b.config.buildID, err)
		}
		return nil
	})
}
