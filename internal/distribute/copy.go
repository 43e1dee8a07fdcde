// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package distribute brings one image to many regions and takes it back from
// them: copy, tag, share, and remove.
package distribute

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// CopyAPI is what copying needs of a region.
type CopyAPI interface {
	ec2.DescribeImagesAPIClient
	CopyImage(context.Context, *ec2.CopyImageInput, ...func(*ec2.Options)) (*ec2.CopyImageOutput, error)
}

// Image is an image in a region with the snapshots that it holds.
type Image struct {
	Region    string
	ID        string
	Snapshots []string
}

// Target is a region that gets a copy.
type Target struct {
	Region string
	// Encrypted makes the copy's snapshots encrypted; nil leaves it to the
	// source and the account's default.
	Encrypted *bool
	// KMSKeyID is the key in the target's region, empty for the account's
	// default key.
	KMSKeyID string
}

// Copies describes what to copy, and where to.
type Copies struct {
	Source      Image
	Name        string
	Description string
	// Token makes each region's CopyImage idempotent.
	Token string
	// Tags are on the copies and on their snapshots from the first moment.
	Tags []ec2types.Tag
	// CompletionMinutes asks for a time-based copy; nil for the free one.
	CompletionMinutes *int64
	Targets           []Target
	Wait              poll.Waiter
	Ledger            *ledger.Ledger
	// Started and Ready are told of each copy, from several goroutines.
	Started, Ready func(Image)
}

// Run copies to all targets at once and returns when all are available. The
// first error cancels the others; every copy that was begun is in the ledger.
func (c Copies) Run(ctx context.Context, client func(region string) CopyAPI) ([]Image, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	images := make([]Image, len(c.Targets))
	failures := make([]error, len(c.Targets))
	var wg sync.WaitGroup
	for i, target := range c.Targets {
		wg.Go(func() {
			images[i], failures[i] = c.one(ctx, client(target.Region), target)
			if failures[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if err := firstCause(failures); err != nil {
		return nil, err
	}
	sort.Slice(images, func(i, j int) bool { return images[i].Region < images[j].Region })
	return images, nil
}

func (c Copies) one(ctx context.Context, client CopyAPI, target Target) (Image, error) {
	// A cancelled CopyImage may still have been carried out, its id unknown:
	// let the one call end, then look at the context.
	out, err := client.CopyImage(context.WithoutCancel(ctx), &ec2.CopyImageInput{
		SourceRegion:                          aws.String(c.Source.Region),
		SourceImageId:                         aws.String(c.Source.ID),
		Name:                                  aws.String(c.Name),
		Description:                           optional(c.Description),
		ClientToken:                           aws.String(c.Token + "-" + target.Region),
		Encrypted:                             target.Encrypted,
		KmsKeyId:                              optional(target.KMSKeyID),
		SnapshotCopyCompletionDurationMinutes: c.CompletionMinutes,
		TagSpecifications:                     tagSpecifications(c.Tags, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot),
	})
	if err != nil {
		return Image{}, fmt.Errorf("copying %s to %s: %w", c.Source.ID, target.Region, err)
	}
	image := Image{Region: target.Region, ID: aws.ToString(out.ImageId)}
	c.Ledger.Add(ledger.Entry{Kind: ledger.Image, Region: image.Region, ID: image.ID})
	c.Started(image)
	found, err := WaitAvailable(ctx, client, image, c.Wait)
	if err != nil {
		return image, fmt.Errorf("copying %s to %s: %w", c.Source.ID, target.Region, err)
	}
	for _, snapshot := range found.Snapshots {
		c.Ledger.Add(ledger.Entry{Kind: ledger.Snapshot, Region: image.Region, ID: snapshot})
	}
	c.Ready(found)
	return found, nil
}

// WaitAvailable waits until an image is available and returns it with its
// snapshots. An image that ends in another state is an error with the reason
// that EC2 gives.
func WaitAvailable(ctx context.Context, client ec2.DescribeImagesAPIClient, image Image, wait poll.Waiter) (Image, error) {
	err := wait.Until(ctx, image.ID+" in "+image.Region, func(ctx context.Context) (bool, error) {
		out, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image.ID}})
		if err != nil {
			return false, err
		}
		if len(out.Images) == 0 {
			return false, &smithy.GenericAPIError{Code: "InvalidAMIID.NotFound", Message: image.ID + " is not there"}
		}
		switch now := out.Images[0]; now.State {
		case ec2types.ImageStatePending:
			return false, nil
		case ec2types.ImageStateAvailable:
			image.Snapshots = snapshotsOf(now)
			return true, nil
		default:
			return false, fmt.Errorf("image %s is %s: %s", image.ID, now.State, reason(now.StateReason))
		}
	})
	return image, err
}

func reason(r *ec2types.StateReason) string {
	if r == nil || aws.ToString(r.Message) == "" {
		return "EC2 gives no reason"
	}
	return aws.ToString(r.Message)
}

func snapshotsOf(image ec2types.Image) []string {
	var ids []string
	for _, device := range image.BlockDeviceMappings {
		if device.Ebs != nil && aws.ToString(device.Ebs.SnapshotId) != "" {
			ids = append(ids, aws.ToString(device.Ebs.SnapshotId))
		}
	}
	return ids
}

// firstCause joins the errors that are causes, leaving out the cancellations
// that followed from them, unless there is nothing else.
func firstCause(failures []error) error {
	var causes []error
	for _, err := range failures {
		if err != nil && !errors.Is(err, context.Canceled) {
			causes = append(causes, err)
		}
	}
	if len(causes) > 0 {
		return errors.Join(causes...)
	}
	return errors.Join(failures...)
}

// optional leaves a parameter out of the call where it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// tagSpecifications puts the same tags on several kinds of resource.
func tagSpecifications(tags []ec2types.Tag, kinds ...ec2types.ResourceType) []ec2types.TagSpecification {
	if len(tags) == 0 {
		return nil
	}
	var specs []ec2types.TagSpecification
	for _, kind := range kinds {
		specs = append(specs, ec2types.TagSpecification{ResourceType: kind, Tags: tags})
	}
	return specs
}
