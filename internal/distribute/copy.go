// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package distribute distributes one image to many regions: it copies, tags,
// shares and removes images.
package distribute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// CopyAPI holds the EC2 requests for copying to a region.
type CopyAPI interface {
	cleanup.API
	CopyImage(context.Context, *ec2.CopyImageInput, ...func(*ec2.Options)) (*ec2.CopyImageOutput, error)
}

// Image is an image in a region with its snapshots.
type Image struct {
	Region    string
	ID        string
	Snapshots []string
	// Account owns the image; empty for the build's.
	Account string
	// Borrowed marks an image of the artifact that is neither changed nor removed.
	Borrowed bool
	// Encrypted is true if the image has an encrypted snapshot.
	Encrypted bool
}

// Target is a region that gets an image.
type Target struct {
	Region string
	Name   string
	// Source is the image to copy; the zero value is that of Copies.
	Source Image
	// Have is an existing image of the region, pending or available. It is used
	// instead of a new copy.
	Have Image
	// NameFreed is true if the build has deregistered an image of this name.
	NameFreed bool
	// ImageTags and SnapshotTags are set at creation.
	ImageTags, SnapshotTags []ec2types.Tag
	// Encrypted encrypts the copy's snapshots; nil means the setting of the source
	// and the account's default.
	Encrypted *bool
	// KMSKeyID is the key in the target's region; empty for the account's default
	// key.
	KMSKeyID string
}

// Copies describes what to copy, and where to.
type Copies struct {
	Source Image
	// Account owns the copies; empty for the build's. Then Lend shares the image to copy
	// with it until the returned function is called, also after an error. granted is
	// true if a grant lets the account use the image's key.
	Account string
	Lend    func(context.Context, Image) (revoke func(), granted bool, err error)
	// SourceTook is how long Source took to become available; 0 if unknown. A copy
	// seldom takes much less, so it is polled rarely before.
	SourceTook  time.Duration
	Targets     []Target
	Description string
	// Token makes each region's CopyImage idempotent. It must be new for each run:
	// for an old one, EC2 returns an image that may no longer exist.
	Token string
	// CompletionMinutes requests a time-based copy; nil for a copy without charge.
	CompletionMinutes *int64
	// Parallel is the maximum number of concurrent copies; 0 means no limit.
	Parallel int
	// StopAtFirst stops waiting for the other regions when one has failed;
	// otherwise they are completed.
	StopAtFirst bool
	// Finish is called with each image as it becomes available, concurrently for
	// several regions; its error fails the region.
	Finish func(context.Context, Image) error
	Wait   poll.Waiter
	Retry  Backoff
	Ledger *cleanup.Ledger
	// Remover removes a failed copy.
	Remover cleanup.Remover
	// Say prints a line; it is called from several goroutines. Pending, if set, is
	// called for each pending copy when a line about the progress is printed.
	Say     func(format string, args ...any)
	Pending func(Pending)

	progress *Progress
}

// Outcome is the result of a target.
type Outcome struct {
	Region string
	// Image is the region's image: finished if Err is nil, else possibly pending or
	// empty.
	Image Image
	Err   error
}

// Run copies the image to all targets concurrently and returns their outcomes in
// the order of the targets. All copies that were started are in the ledger. All
// requests wait out an outage of AWS.
func (c Copies) Run(ctx context.Context, client func(region string) CopyAPI) []Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx = awsclient.WaitOut(ctx)
	slots := make(chan struct{}, max(1, len(c.Targets)))
	if c.Parallel > 0 {
		slots = make(chan struct{}, c.Parallel)
	}
	c.Wait.Peers = &poll.Peers{Likely: c.SourceTook * likelyTenths / 10}
	c.progress = c.newProgress()
	outcomes := make([]Outcome, len(c.Targets))
	var wg sync.WaitGroup
	for i, target := range c.Targets {
		wg.Go(func() {
			out := &outcomes[i]
			out.Region = target.Region
			defer func() {
				if p := recover(); p != nil { // it must not end the other regions
					out.Err = fmt.Errorf("%s: internal error, a bug in this plugin: %v\n%s", target.Region, p, debug.Stack())
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

// newProgress returns the progress of all copies of a run.
func (c Copies) newProgress() *Progress {
	p := &Progress{Say: func(line string) { c.Say("%s", line) }, Each: c.Pending, What: "Copies", Clock: c.Wait.Clock}
	if c.Account != "" {
		p.What += " to account " + c.Account
	}
	for _, target := range c.Targets {
		if !target.available() {
			p.Images++
		}
	}
	return p
}

// available reports whether the target has an available image.
func (t Target) available() bool { return t.Have.ID != "" && len(t.Have.Snapshots) > 0 }

// bring copies to one region, unless it has the image, and finishes it.
func (c Copies) bring(ctx context.Context, client CopyAPI, target Target, slots chan struct{}) (Image, error) {
	image, err := target.Have, error(nil)
	if !target.available() {
		if image, err = c.copy(ctx, client, target, slots); err != nil {
			c.progress.fail()
			return image, err
		}
	}
	if c.Finish != nil && !image.Borrowed {
		err = c.Finish(ctx, image)
	}
	return image, err
}

// made looks for a copy whose CopyImage had no answer, by its name and tags, for as
// long as EC2 may not list a new image.
func (c Copies) made(ctx context.Context, client CopyAPI, target Target) (id string, err error) {
	filters := map[string]string{"name": target.Name}
	for _, tag := range target.ImageTags {
		if aws.ToString(tag.Key) == tags.BuildID {
			filters["tag:"+tags.BuildID] = aws.ToString(tag.Value)
		}
	}
	ctx = context.WithoutCancel(ctx) // also for a cancelled build, which removes the copy
	look := poll.Waiter{Interval: c.Wait.Interval, Timeout: cmp.Or(c.Remover.Settling, cleanup.Settling), Clock: c.Wait.Clock}
	err = look.Until(ctx, "a copy in "+target.Region, func(ctx context.Context) (bool, error) {
		found, err := Find(ctx, client, filters)
		for _, image := range found {
			if image.State == ec2types.ImageStatePending || image.State == ec2types.ImageStateAvailable {
				id = aws.ToString(image.ImageId)
			}
		}
		return id != "", err
	})
	var late *poll.TimeoutError
	if errors.As(err, &late) && late.Last == nil {
		return "", nil
	}
	return id, err
}

// likelyTenths is the part of SourceTook after which the copies may end.
const likelyTenths = 9

// maxCopies is the number of failed copies after which a region has failed.
const maxCopies = 2

// copy starts the copy and waits for it. It removes and retries a failed copy
// once.
func (c Copies) copy(ctx context.Context, client CopyAPI, target Target, slots chan struct{}) (image Image, err error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return Image{}, fmt.Errorf("copying %s to %s: %w", c.sourceOf(target).ID, c.place(target.Region), ctx.Err())
	}
	defer func() { <-slots }()
	source, granted := c.sourceOf(target), false
	if c.Lend != nil {
		var revoke func()
		revoke, granted, err = c.Lend(ctx, source)
		defer revoke()
		if err != nil {
			return target.Have, fmt.Errorf("sharing %s in %s with account %s: %w", source.ID, source.Region, c.Account, err)
		}
	}
	for try := 1; ; try++ {
		image, err = target.Have, nil
		if image.ID == "" || try > 1 {
			image, err = c.begin(ctx, client, target, try)
		}
		if err == nil {
			image, err = WaitAvailable(ctx, client, image, c.Wait, c.progress)
		}
		if err == nil {
			break
		}
		var ended *EndedError
		if !errors.As(err, &ended) || try >= triesOf(ended, granted) || ctx.Err() != nil {
			return image, fmt.Errorf("copying %s to %s: %w", source.ID, c.place(target.Region), err)
		}
		c.Say("%s: %s; retrying the copy", c.place(target.Region), err)
		if err := c.remover(client).Remove(ctx, cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: c.Account, Seen: true}); err != nil {
			return image, fmt.Errorf("retrying the copy of %s to %s: %w", source.ID, c.place(target.Region), err)
		}
		if granted && poll.Pause(ctx, c.Retry.Clock, c.Retry.after(try)) != nil {
			return image, fmt.Errorf("copying %s to %s: %w", source.ID, c.place(target.Region), err)
		}
	}
	for _, snapshot := range image.Snapshots {
		if image.ID == target.Have.ID {
			break // owned by another run
		}
		c.Ledger.Add(cleanup.Entry{Kind: cleanup.Snapshot, Region: image.Region, ID: snapshot, Account: c.Account})
	}
	c.Say("%s: %s is available", c.place(image.Region), image.ID)
	return image, nil
}

// sourceOf returns the image to copy to a target.
func (c Copies) sourceOf(target Target) Image {
	if target.Source.ID != "" {
		return target.Source
	}
	return c.Source
}

// place names a region for messages, with the account that owns the copies.
func (c Copies) place(region string) string {
	if c.Account != "" {
		return c.Account + ", " + region
	}
	return region
}

func (c Copies) remover(client CopyAPI) cleanup.Remover {
	r := c.Remover
	r.Client, r.Ledger = client, c.Ledger
	return r
}

// begin makes the request, and retries while the region's copy limit is reached.
func (c Copies) begin(ctx context.Context, client CopyAPI, target Target, try int) (Image, error) {
	token := c.Token + "-" + target.Region
	if try > 1 { // the same token would return the failed copy
		token += fmt.Sprintf("-%d", try)
	}
	image := Image{Region: target.Region, Account: c.Account}
	unanswered := false
	err := c.Retry.Freed(target.NameFreed || try > 1).Lent(c.Lend != nil).Do(ctx, func(err error, pause time.Duration) {
		c.Say("%s: %s; retrying in %s", c.place(target.Region), err, pause.Round(time.Second))
	}, func() error {
		// A cancelled CopyImage may have succeeded, with an unknown id, so let the
		// request end before checking the context.
		out, err := client.CopyImage(context.WithoutCancel(ctx), c.Request(target, token))
		if err == nil {
			image.ID = aws.ToString(out.ImageId)
		}
		unanswered = unanswered || awsclient.IsUnanswered(err)
		return err
	})
	if err != nil && unanswered { // EC2 may have started the copy
		var lookErr error
		if image.ID, lookErr = c.made(ctx, client, target); image.ID != "" {
			err = nil
		} else if lookErr != nil {
			err = fmt.Errorf("%w; a copy may exist: search for images named %q in %s (%w)", err, target.Name, c.place(target.Region), awsclient.Plain(lookErr))
		}
	}
	if err == nil {
		c.Ledger.Add(cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: c.Account, Snapshots: len(c.sourceOf(target).Snapshots)})
		log.Printf("[INFO] %s: copying to %s", c.place(image.Region), image.ID)
	}
	return image, err
}

// Request returns the request that copies to a target, also for a dry run.
func (c Copies) Request(target Target, token string) *ec2.CopyImageInput {
	return &ec2.CopyImageInput{
		SourceRegion:                          aws.String(c.sourceOf(target).Region),
		SourceImageId:                         aws.String(c.sourceOf(target).ID),
		Name:                                  aws.String(target.Name),
		Description:                           optional(c.Description),
		ClientToken:                           aws.String(token),
		Encrypted:                             target.Encrypted,
		KmsKeyId:                              optional(target.KMSKeyID),
		SnapshotCopyCompletionDurationMinutes: c.CompletionMinutes,
		TagSpecifications:                     tagSpecifications(target.ImageTags, target.SnapshotTags),
	}
}

// FirstCause joins the errors, without the cancellations that follow from them
// unless there are no others.
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

// optional omits an empty parameter from the request.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// tagSpecifications returns the tags of an image and of its snapshots.
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
