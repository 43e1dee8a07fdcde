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

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// AwaitAPI holds the EC2 requests for waiting for an image.
type AwaitAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
}

// EndedError is returned for an image that ended in a state other than available.
type EndedError struct {
	ID, Region string
	State      ec2types.ImageState
	Reason     string
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("image %s in %s is %s: %s", e.ID, e.Region, e.State, e.Reason)
}

// WaitAvailable waits until an image is available and returns it with its
// snapshots. For an image that ends in another state, it returns an *EndedError.
// progress may be nil.
func WaitAvailable(ctx context.Context, client AwaitAPI, image Image, wait poll.Waiter, progress *Progress) (Image, error) {
	a := awaited{client: client, image: image, percent: poll.Unknown}
	available := false
	follow := progress.follow(image)
	defer func() { progress.end(image.ID, available) }() // also after a panic
	err := wait.Follow(ctx, image.ID+" in "+image.Region, a.ask, follow)
	available = err == nil
	return a.image, err
}

// awaited is a pending image. While its snapshots report progress, only they are
// polled, in one request, as the image cannot be available before them. Once the
// image should be available, it is polled first. So a poll is one request, or
// sometimes two.
type awaited struct {
	client    AwaitAPI
	image     Image
	snapshots []string // seen pending
	percent   int      // the last one reported, or poll.Unknown
	absent    int      // number of polls without snapshots
	denied    bool     // the snapshots cannot be described
	still     int      // number of consecutive polls without an increase
}

const (
	// mostAbsent limits the polls for missing snapshots: those of a running
	// instance start once EC2 has shut it down.
	mostAbsent = 60
	// mostStill and mostSilent are the numbers of polls without an increase and
	// without reported progress after which the image is polled too, as it may have
	// failed.
	mostStill  = 4
	mostSilent = 8
	// lastTold is the highest percentage before the end, however long that takes.
	lastTold = 99
)

func (a *awaited) ask(ctx context.Context, due bool) (poll.Progress, error) {
	if due {
		if done, err := a.askImage(ctx); done || err != nil {
			return poll.Progress{Done: done}, err
		}
	}
	if a.percent < lastTold && !a.denied && a.absent < mostAbsent {
		percent, failed, err := a.progress(ctx)
		switch {
		case ctx.Err() != nil || awsclient.IsThrottle(err):
			return poll.Progress{}, err
		case err != nil && !awsclient.IsNotFound(err): // not allowed, for example: continue without
			a.denied = true
		case failed:
		case len(a.snapshots) == 0:
			if a.absent++; a.absent%mostStill != 1 {
				return poll.Progress{Percent: poll.Unknown}, nil
			}
		case percent == poll.Unknown:
			if a.still++; a.still < mostSilent {
				return poll.Progress{Percent: a.percent}, nil
			}
			a.still = 0
		default:
			if a.still++; percent > a.percent {
				a.percent, a.still = percent, 0
			}
			if percent <= lastTold && a.still < mostStill {
				return poll.Progress{Percent: a.percent}, nil
			}
			a.still = 0
		}
	}
	if due { // it has been polled
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
		return false, &smithy.GenericAPIError{Code: "InvalidAMIID.NotFound", Message: a.image.ID + " does not exist"}
	}
	switch now := out.Images[0]; now.State {
	case ec2types.ImageStatePending:
		return false, nil
	case ec2types.ImageStateAvailable:
		a.image.Snapshots, a.image.Encrypted = cleanup.SnapshotsOf(now), cleanup.IsEncrypted(now)
		return true, nil
	default:
		return false, &EndedError{a.image.ID, a.image.Region, now.State, reason(now.StateReason)}
	}
}

// progress returns the progress of the image's snapshots, weighted by size, or
// poll.Unknown if there are none or one of them does not report it. failed is true if
// one of them has failed.
func (a *awaited) progress(ctx context.Context) (percent int, failed bool, err error) {
	found, err := a.findSnapshots(ctx)
	a.snapshots = nil // search for them again if they are not found
	if err != nil {
		return poll.Unknown, false, err
	}
	var done, all int64
	silent := len(found) == 0
	for _, snapshot := range found {
		a.snapshots = append(a.snapshots, aws.ToString(snapshot.SnapshotId))
		size := max(1, int64(aws.ToInt32(snapshot.VolumeSize)))
		n, err := strconv.Atoi(strings.TrimSuffix(aws.ToString(snapshot.Progress), "%"))
		silent = silent || err != nil
		failed = failed || snapshot.State == ec2types.SnapshotStateError
		done, all = done+int64(n)*size, all+size
	}
	if silent || failed {
		return poll.Unknown, failed, nil
	}
	return int(done / all), false, nil
}

// findSnapshots describes the known snapshots, or searches for them.
func (a *awaited) findSnapshots(ctx context.Context) ([]ec2types.Snapshot, error) {
	if len(a.snapshots) == 0 {
		return cleanup.SnapshotsMadeFor(ctx, a.client, a.image.ID)
	}
	out, err := a.client.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: a.snapshots})
	if err != nil {
		return nil, err
	}
	return out.Snapshots, nil
}

func reason(r *ec2types.StateReason) string {
	if r == nil || aws.ToString(r.Message) == "" {
		return "EC2 returned no reason"
	}
	return aws.ToString(r.Message)
}

// WaitBegun waits until the given number of snapshots of a pending image have
// started; a snapshot holds its volume's data at that time. For an image that ends
// before that, it returns an *EndedError.
func WaitBegun(ctx context.Context, client AwaitAPI, image Image, snapshots int, wait poll.Waiter) error {
	a, looks := awaited{client: client, image: image}, 0
	return wait.Until(ctx, "the snapshots of "+image.ID+" to start", func(ctx context.Context) (bool, error) {
		found, err := cleanup.SnapshotsMadeFor(ctx, client, image.ID)
		if err != nil || len(found) >= snapshots {
			return err == nil, err
		}
		if looks++; looks%mostStill != 0 {
			return false, nil
		}
		return a.askImage(ctx)
	})
}
