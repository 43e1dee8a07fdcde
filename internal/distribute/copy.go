// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package distribute brings one image to many regions and takes it back from
// them: copy, tag, share, and remove.
package distribute

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// CopyAPI is what copying needs of a region.
type CopyAPI interface {
	RemoveAPI
	CopyImage(context.Context, *ec2.CopyImageInput, ...func(*ec2.Options)) (*ec2.CopyImageOutput, error)
}

// Image is an image in a region with the snapshots that it holds.
type Image struct {
	Region    string
	ID        string
	Snapshots []string
	// Borrowed is an image that is named, and neither changed nor removed.
	Borrowed bool
}

// Target is a region that gets an image.
type Target struct {
	Region string
	Name   string
	// Have is an image that the region has already, pending or available: it
	// is waited for instead of a copy.
	Have Image
	// ImageTags and SnapshotTags are there from the first moment.
	ImageTags, SnapshotTags []ec2types.Tag
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
	Targets     []Target
	Description string
	// Token makes each region's CopyImage idempotent. It must be new for each
	// run: EC2 answers an old one with an image that may be gone.
	Token string
	// CompletionMinutes asks for a time-based copy; nil for the free one.
	CompletionMinutes *int64
	// Parallel is how many copies are under way at once; 0 is all of them.
	Parallel int
	// StopAtFirst leaves the other regions as they are when one has failed;
	// else they are brought to their end.
	StopAtFirst bool
	// Finish is called with each image as it becomes available, for several
	// regions at once; its error is the region's.
	Finish func(context.Context, Image) error
	Wait   poll.Waiter
	Retry  Backoff
	Ledger *ledger.Ledger
	// Say tells people, from several goroutines.
	Say func(format string, args ...any)
}

// Outcome is how a target ended.
type Outcome struct {
	Region string
	// Image is what there is: finished where Err is nil, else perhaps pending,
	// or nothing.
	Image Image
	Err   error
}

// Run brings the image to all targets at once and returns when each has come
// to its end, in the order of the targets. Every copy that was begun is in the
// ledger.
func (c Copies) Run(ctx context.Context, client func(region string) CopyAPI) []Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, max(1, len(c.Targets)))
	if c.Parallel > 0 {
		slots = make(chan struct{}, c.Parallel)
	}
	outcomes := make([]Outcome, len(c.Targets))
	var wg sync.WaitGroup
	for i, target := range c.Targets {
		wg.Go(func() {
			out := &outcomes[i]
			out.Region = target.Region
			defer func() {
				if p := recover(); p != nil { // the other regions are not to be lost by it
					out.Err = fmt.Errorf("%s: a mistake in this plugin: %v\n%s", target.Region, p, debug.Stack())
				}
				if out.Err != nil && c.StopAtFirst {
					cancel()
				}
			}()
			out.Image, out.Err = c.bring(ctx, client(target.Region), target, slots)
		})
	}
	wg.Wait()
	return outcomes
}

// bring copies to one region, unless it has the image, and finishes it.
func (c Copies) bring(ctx context.Context, client CopyAPI, target Target, slots chan struct{}) (Image, error) {
	image, err := target.Have, error(nil)
	if image.ID == "" || len(image.Snapshots) == 0 {
		if image, err = c.copy(ctx, client, target, slots); err != nil {
			return image, err
		}
	}
	if c.Finish != nil && !image.Borrowed {
		err = c.Finish(ctx, image)
	}
	return image, err
}

// endings is how many copies of a region may end as failed before the region
// counts as failed.
const endings = 2

// copy makes the copy and waits for it; one that ends as failed is removed and
// made anew, once.
func (c Copies) copy(ctx context.Context, client CopyAPI, target Target, slots chan struct{}) (image Image, err error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return Image{}, fmt.Errorf("copying %s to %s: %w", c.Source.ID, target.Region, ctx.Err())
	}
	defer func() { <-slots }()
	for ending := 1; ; ending++ {
		image, err = target.Have, nil
		if image.ID == "" || ending > 1 {
			image, err = c.begin(ctx, client, target, ending)
		}
		if err == nil {
			image, err = WaitAvailable(ctx, client, image, c.Wait, func(line string) { c.Say("%s: %s", target.Region, line) })
		}
		if err == nil {
			break
		}
		var ended *EndedError
		if !errors.As(err, &ended) || ending == endings || ctx.Err() != nil {
			return image, fmt.Errorf("copying %s to %s: %w", c.Source.ID, target.Region, err)
		}
		c.Say("%s: %s; copying once more", target.Region, err)
		if err := Remove(ctx, client, image.Region, image.ID, c.Ledger); err != nil {
			return image, fmt.Errorf("copying %s to %s once more: %w", c.Source.ID, target.Region, err)
		}
	}
	for _, snapshot := range image.Snapshots {
		if image.ID == target.Have.ID {
			break // another run's
		}
		c.Ledger.Add(ledger.Entry{Kind: ledger.Snapshot, Region: image.Region, ID: snapshot})
	}
	c.Say("%s: %s is available", image.Region, image.ID)
	return image, nil
}

// begin makes the call, again and again while the region has no room for it.
func (c Copies) begin(ctx context.Context, client CopyAPI, target Target, ending int) (Image, error) {
	token := c.Token + "-" + target.Region
	if ending > 1 { // the same token would be answered with the copy that failed
		token += fmt.Sprintf("-%d", ending)
	}
	image := Image{Region: target.Region}
	err := c.Retry.Do(ctx, func(err error, pause time.Duration) {
		c.Say("%s: %s; trying again in %s", target.Region, err, pause.Round(time.Second))
	}, func() error {
		// A cancelled CopyImage may still have been carried out, its id unknown:
		// let the one call end, then look at the context.
		out, err := client.CopyImage(context.WithoutCancel(ctx), &ec2.CopyImageInput{
			SourceRegion:                          aws.String(c.Source.Region),
			SourceImageId:                         aws.String(c.Source.ID),
			Name:                                  aws.String(target.Name),
			Description:                           optional(c.Description),
			ClientToken:                           aws.String(token),
			Encrypted:                             target.Encrypted,
			KmsKeyId:                              optional(target.KMSKeyID),
			SnapshotCopyCompletionDurationMinutes: c.CompletionMinutes,
			TagSpecifications:                     tagSpecifications(target.ImageTags, target.SnapshotTags),
		})
		if err == nil {
			image.ID = aws.ToString(out.ImageId)
		}
		return err
	})
	if err == nil {
		c.Ledger.Add(ledger.Entry{Kind: ledger.Image, Region: image.Region, ID: image.ID})
		c.Say("%s: copying to %s", image.Region, image.ID)
	}
	return image, err
}

// FirstCause joins the errors that are causes, leaving out the cancellations
// that followed from them, unless there is nothing else.
func FirstCause(outcomes []Outcome) error {
	var causes, all []error
	for _, o := range outcomes {
		all = append(all, o.Err)
		if o.Err != nil && !errors.Is(o.Err, context.Canceled) {
			causes = append(causes, o.Err)
		}
	}
	if len(causes) > 0 {
		return errors.Join(causes...)
	}
	return errors.Join(all...)
}

// optional leaves a parameter out of the call where it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// tagSpecifications are the tags of an image and those of its snapshots.
func tagSpecifications(image, snapshots []ec2types.Tag) []ec2types.TagSpecification {
	var specs []ec2types.TagSpecification
	if len(image) > 0 {
		specs = append(specs, ec2types.TagSpecification{ResourceType: ec2types.ResourceTypeImage, Tags: image})
	}
	if len(snapshots) > 0 {
		specs = append(specs, ec2types.TagSpecification{ResourceType: ec2types.ResourceTypeSnapshot, Tags: snapshots})
	}
	return specs
}
