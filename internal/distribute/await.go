// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// AwaitAPI is what waiting for an image needs of its region.
type AwaitAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
}

// EndedError is returned for an image that EC2 gave up on.
type EndedError struct {
	ID, Region string
	State      ec2types.ImageState
	Reason     string
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("image %s in %s is %s: %s", e.ID, e.Region, e.State, e.Reason)
}

// WaitAvailable waits until an image is available and returns it with its
// snapshots. An image that ends in another state is an *EndedError. say, which
// may be nil, is told now and then how far the image is.
func WaitAvailable(ctx context.Context, client AwaitAPI, image Image, wait poll.Waiter, say func(string)) (Image, error) {
	a := awaited{client: client, image: image, percent: poll.Unknown}
	err := wait.Follow(ctx, image.ID+" in "+image.Region, a.ask, tell(wait.Clock, say))
	return a.image, err
}

// awaited is a pending image. While its snapshots tell how far they are, which
// is what takes long, they are asked, all at once, and the image is not: it
// cannot be available before them; once it should be, it is asked first. So a
// question is one call, now and then two.
type awaited struct {
	client    AwaitAPI
	image     Image
	snapshots []string // those that were seen pending
	percent   int      // the last that was told, or poll.Unknown
	untold    int      // how often in a row nothing was told
	still     int      // how often in a row it was no more than before
}

const (
	// mostUntold is how often snapshots are asked that tell nothing.
	mostUntold = 3
	// mostStill is how often snapshots may stand still before the image is
	// asked too, since it may have failed without them.
	mostStill = 4
	// lastTold is the last that is told before the end, for as long as it takes.
	lastTold = 99
)

func (a *awaited) ask(ctx context.Context, due bool) (poll.Progress, error) {
	if due {
		if done, err := a.askImage(ctx); done || err != nil {
			return poll.Progress{Done: done}, err
		}
	}
	if a.percent < lastTold && a.untold < mostUntold {
		percent, told, err := a.progress(ctx)
		switch {
		case ctx.Err() != nil || ec2api.IsThrottle(err):
			return poll.Progress{}, err
		case err != nil && !ec2api.IsNotFound(err): // not allowed, for example: do without
			a.untold = mostUntold
		case !told:
			a.untold++
		default:
			a.untold = 0
			if a.still++; percent > a.percent {
				a.percent, a.still = percent, 0
			}
			if percent <= lastTold && a.still < mostStill {
				return poll.Progress{Percent: a.percent}, nil
			}
			a.still = 0
		}
	}
	if due { // it has been asked
		return poll.Progress{Percent: a.percent}, nil
	}
	done, err := a.askImage(ctx)
	return poll.Progress{Done: done, Percent: a.percent}, err
}

func (a *awaited) askImage(ctx context.Context) (available bool, err error) {
	out, err := a.client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{a.image.ID}})
	if err != nil {
		return false, err
	}
	if len(out.Images) == 0 {
		return false, &smithy.GenericAPIError{Code: "InvalidAMIID.NotFound", Message: a.image.ID + " is not there"}
	}
	switch now := out.Images[0]; now.State {
	case ec2types.ImageStatePending:
		return false, nil
	case ec2types.ImageStateAvailable:
		a.image.Snapshots = snapshotsOf(now)
		return true, nil
	default:
		return false, &EndedError{a.image.ID, a.image.Region, now.State, reason(now.StateReason)}
	}
}

// progress is how much of the image's snapshots is there, by their sizes; told
// is false where one of them does not say, or has failed.
func (a *awaited) progress(ctx context.Context) (percent int, told bool, err error) {
	input := &ec2.DescribeSnapshotsInput{SnapshotIds: a.snapshots}
	if len(a.snapshots) == 0 {
		input = made(a.image.ID)
	}
	out, err := a.client.DescribeSnapshots(ctx, input)
	a.snapshots = nil // those that are not found are looked for
	if err != nil {
		return 0, false, err
	}
	var done, all int64
	for _, snapshot := range out.Snapshots {
		a.snapshots = append(a.snapshots, aws.ToString(snapshot.SnapshotId))
		size := max(1, int64(aws.ToInt32(snapshot.VolumeSize)))
		n, err := strconv.Atoi(strings.TrimSuffix(aws.ToString(snapshot.Progress), "%"))
		if err != nil || snapshot.State == ec2types.SnapshotStateError {
			return 0, false, nil
		}
		done, all = done+int64(n)*size, all+size
	}
	if all == 0 {
		return 0, false, nil
	}
	return int(done / all), true, nil
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

// WaitBegun waits until as many snapshots of a pending image are begun, each of
// which holds from then on what its volume held.
func WaitBegun(ctx context.Context, client AwaitAPI, image Image, snapshots int, wait poll.Waiter) error {
	return wait.Until(ctx, "the snapshots of "+image.ID+" to begin", func(ctx context.Context) (bool, error) {
		out, err := client.DescribeSnapshots(ctx, made(image.ID))
		return err == nil && len(out.Snapshots) >= snapshots, err
	})
}

// made asks for the snapshots that EC2 makes for a pending image, which does not
// name them.
func made(image string) *ec2.DescribeSnapshotsInput {
	return &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"},
		Filters:  []ec2types.Filter{{Name: aws.String("description"), Values: madeFor(image)}},
	}
}
