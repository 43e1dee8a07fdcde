// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// copying is an image of a region with two snapshots whose progress is a
// function of time, and the clock that passes while somebody waits for it.
type copying struct {
	now     time.Time
	takes   time.Duration
	percent func(time.Duration) string
	// ends is the image's state in the end, failsAt when it is that before.
	ends    ec2types.ImageState
	failsAt time.Duration
	refused error // of DescribeSnapshots

	images, snapshots int // questions
	byID              int // those of the snapshots that name them
}

func (c *copying) Now() time.Time { return c.now }

func (c *copying) After(d time.Duration) <-chan time.Time {
	c.now = c.now.Add(d)
	ready := make(chan time.Time, 1)
	ready <- c.now
	return ready
}

func (c *copying) DescribeSnapshots(_ context.Context, in *ec2.DescribeSnapshotsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	c.snapshots++
	if c.refused != nil {
		return nil, c.refused
	}
	if len(in.SnapshotIds) > 0 {
		c.byID++
	}
	elapsed := c.now.Sub(noon)
	state, progress := ec2types.SnapshotStatePending, c.percent(elapsed)
	if elapsed >= c.takes {
		state, progress = ec2types.SnapshotStateCompleted, "100%"
	}
	return &ec2.DescribeSnapshotsOutput{Snapshots: []ec2types.Snapshot{
		{SnapshotId: aws.String("snap-1"), State: state, VolumeSize: aws.Int32(30), Progress: aws.String(progress)},
		{SnapshotId: aws.String("snap-2"), State: state, VolumeSize: aws.Int32(10), Progress: aws.String(progress)},
	}}, nil
}

func (c *copying) DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	c.images++
	image := ec2types.Image{State: ec2types.ImageStatePending}
	switch elapsed := c.now.Sub(noon); {
	case c.failsAt > 0 && elapsed >= c.failsAt:
		image.State, image.StateReason = ec2types.ImageStateFailed, &ec2types.StateReason{Message: aws.String("the key is not there")}
	case elapsed >= c.takes:
		image.State = ec2types.ImageStateAvailable
		image.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String("snap-1")}}}
	}
	return &ec2.DescribeImagesOutput{Images: []ec2types.Image{image}}, nil
}

func (c *copying) wait(t *testing.T) (image Image, said []string, err error) {
	c.now = noon
	wait := poll.Waiter{Interval: time.Second, First: 10 * time.Second, Timeout: 3 * time.Hour, Clock: c}
	image, err = WaitAvailable(t.Context(), c, Image{Region: "us-west-2", ID: "ami-1"}, wait, func(line string) { said = append(said, line) })
	return image, said, err
}

func linear(total time.Duration) func(time.Duration) string {
	return func(elapsed time.Duration) string { return fmt.Sprintf("%d%%", min(99, 100*elapsed/total)) }
}

// A person can follow an hour, and a minute says nothing of itself.
func TestWaitAvailableTells(t *testing.T) {
	for _, test := range []struct {
		name    string
		takes   time.Duration
		percent func(time.Duration) string
		want    []string
	}{
		{"a short copy is not worth a line", 50 * time.Second, linear(50 * time.Second), nil},
		{"an hour has a handful", time.Hour, linear(time.Hour), []string{
			"3 % done, about 59m to go (until 13:00)", "6 % done, about 57m to go (until 13:00)", "13 % done, about 52m to go (until 12:59)",
			"26 % done, about 44m to go (until 12:59)", "53 % done, about 28m to go (until 12:59)", "79 % done, about 12m to go (until 12:59)",
		}},
		{"stuck: said once", time.Hour, func(time.Duration) string { return "99%" }, []string{"99 % done"}},
		{"EC2 says nothing, nor do we", time.Hour, func(time.Duration) string { return "" }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &copying{takes: test.takes, percent: test.percent}
			image, said, err := c.wait(t)
			if err != nil || !slices.Equal(image.Snapshots, []string{"snap-1"}) {
				t.Fatalf("got %v with %v", err, image.Snapshots)
			}
			if !slices.Equal(said, test.want) {
				t.Errorf("said %q, want %q", said, test.want)
			}
		})
	}
}

// One call a question, whatever is asked, and the image once at the end.
func TestWaitAvailableAsksLittle(t *testing.T) {
	for _, test := range []struct {
		name              string
		copy              copying
		images, snapshots int // at most
	}{
		{"linear", copying{takes: 47370 * time.Millisecond, percent: linear(47370 * time.Millisecond)}, 1, 4},
		{"nothing told: the image alone", copying{takes: 2 * time.Minute, percent: func(time.Duration) string { return "" }}, 60, mostUntold},
		{"stuck at 99 %: the image alone", copying{takes: 2 * time.Minute, percent: func(time.Duration) string { return "99%" }}, 60, 1},
		{"snapshots may not be described", copying{takes: 2 * time.Minute, refused: code("UnauthorizedOperation")}, 60, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &test.copy
			if _, _, err := c.wait(t); err != nil {
				t.Fatal(err)
			}
			if c.images > test.images || c.snapshots > test.snapshots || c.refused == nil && c.snapshots > 1 && c.byID == 0 && test.images == 1 {
				t.Errorf("asked for the image %d times, for its snapshots %d times, %d by their ids", c.images, c.snapshots, c.byID)
			}
		})
	}
}

// An image may fail although its snapshots stand where they are.
func TestWaitAvailableNoticesAFailure(t *testing.T) {
	for name, percent := range map[string]func(time.Duration) string{
		"at 0 %": func(time.Duration) string { return "0%" }, "stuck": func(time.Duration) string { return "40%" },
		"untold": func(time.Duration) string { return "" }, "linear": linear(10 * time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			c := &copying{takes: 10 * time.Minute, percent: percent, failsAt: 30 * time.Second}
			_, _, err := c.wait(t)
			var ended *EndedError
			if !errors.As(err, &ended) || ended.Reason != "the key is not there" {
				t.Errorf("got %v, want that it failed, and why", err)
			}
			if late := c.now.Sub(noon) - c.failsAt; name != "linear" && late > time.Minute {
				t.Errorf("noticed %s late", late)
			}
		})
	}
}

func code(c string) error { return &smithy.GenericAPIError{Code: c} }
