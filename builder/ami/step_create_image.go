// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// stepCreateImage makes the image of the instance, in the build's region.
//
// Where the build's region gets none, or an encrypted one, this image is an
// intermediary with a name of its own, which stepDistribute removes.
type stepCreateImage struct{}

func (stepCreateImage) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if b.config.SkipCreateAMI {
		ui.Say("Not making an image (skip_create_ami)")
		return multistep.ActionContinue
	}
	name := b.nameIn(b.clients.Region())
	onImage, onSnapshots, err := b.imageTags(state, b.clients.Region())
	if b.config.needsIntermediary() {
		name, b.intermediary = b.config.intermediaryName(), true
		onImage, err = b.config.intermediaryTags(state, b.clients.Region())
		onSnapshots = onImage
	}
	if err != nil {
		return halt(state, "creating the image: %w", err)
	}
	description, err := b.config.description(state)
	if err != nil {
		return halt(state, "creating the image: %w", err)
	}
	ui.Sayf("Creating the image %q...", name)
	client := b.clients.EC2(b.clients.Region())
	id, err := b.createImage(ctx, client, &ec2.CreateImageInput{
		InstanceId:          aws.String(b.report.InstanceID),
		Name:                aws.String(name),
		Description:         aws.String(description),
		BlockDeviceMappings: b.config.AMIMappings.BuildEC2BlockDeviceMappings(),
		TagSpecifications: []ec2types.TagSpecification{
			{ResourceType: ec2types.ResourceTypeImage, Tags: onImage},
			{ResourceType: ec2types.ResourceTypeSnapshot, Tags: onSnapshots},
		},
	})
	if err != nil {
		return halt(state, "creating the image %q: %w", name, err)
	}
	b.image = distribute.Image{Region: b.clients.Region(), ID: id}
	b.ledger.Add(ledger.Entry{Kind: ledger.Image, Region: b.image.Region, ID: b.image.ID})
	b.stopOnceCaptured(ctx, client, ui)
	ui.Sayf("Waiting for %s...", b.image.ID)
	b.image, err = distribute.WaitAvailable(ctx, client, b.image, b.wait, func(line string) { ui.Sayf("%s: %s", id, line) })
	if err != nil {
		return halt(state, "creating the image: %w", err)
	}
	for _, snapshot := range b.image.Snapshots {
		b.ledger.Add(ledger.Entry{Kind: ledger.Snapshot, Region: b.image.Region, ID: snapshot})
	}
	return multistep.ActionContinue
}

// createImage returns the id of the image that it makes. CreateImage has no
// client token: where its answer is lost, the SDK's second call finds the name
// taken, by this build's own image.
func (b *build) createImage(ctx context.Context, client *ec2.Client, input *ec2.CreateImageInput) (string, error) {
	ctx = context.WithoutCancel(ctx) // the id of what was begun would be lost
	out, err := client.CreateImage(ctx, input)
	if err == nil {
		return aws.ToString(out.ImageId), nil
	}
	if ec2api.Code(err) != "InvalidAMIName.Duplicate" {
		return "", err
	}
	own, describeErr := client.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners: []string{"self"},
		Filters: []ec2types.Filter{
			{Name: aws.String("name"), Values: []string{aws.ToString(input.Name)}},
			{Name: aws.String("tag:" + tags.BuildID), Values: []string{b.config.buildID}},
		},
	})
	if describeErr != nil || len(own.Images) == 0 {
		return "", err
	}
	return aws.ToString(own.Images[0].ImageId), nil
}

// Cleanup removes the image of a build that failed.
func (stepCreateImage) Cleanup(state multistep.StateBag) {
	b := buildOf(state)
	if b.image.ID == "" || !b.takesBack() {
		return
	}
	ctx, cancel := cleanupContext()
	defer cancel()
	removeImages(ctx, state, b.image)
}

// removeImages takes images back, all at once, and says so; what stays is in the ledger.
func removeImages(ctx context.Context, state multistep.StateBag, images ...distribute.Image) {
	b, ui := buildOf(state), uiOf(state)
	var wg sync.WaitGroup
	for _, image := range images {
		wg.Go(func() {
			if err := distribute.Remove(ctx, b.clients.EC2(image.Region), image.Region, image.ID, b.ledger); err != nil {
				ui.Errorf("removing %s in %s: %s", image.ID, image.Region, err)
				return
			}
			ui.Sayf("Removed %s in %s with its snapshots", image.ID, image.Region)
		})
	}
	wg.Wait()
}

// needsIntermediary says that the image of the instance is not to stay.
func (c *Config) needsIntermediary() bool {
	return c.AMISkipBuildRegion || c.AMIEncryptBootVolume.True()
}

// imageRegions are the regions that will hold an image, each once. The build's
// may be in ami_regions too, where a profile or AWS_REGION has named it.
func (c *Config) imageRegions(build string) []string {
	var regions []string
	if !c.AMISkipBuildRegion {
		regions = append(regions, build)
	}
	for _, region := range c.AMIRegions {
		if region != build && !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
	}
	return regions
}
