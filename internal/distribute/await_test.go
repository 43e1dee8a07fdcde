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

// copying is an image with two snapshots, whose progress is a function of time, and the
// clock that advances during waits.
type copying struct {
	now     time.Time
	takes   time.Duration
	percent func(time.Duration) string
	failsAt time.Duration
	refused error         // of DescribeSnapshots
	begins  time.Duration // before it, there are no snapshots

	images, snapshots int // requests
	byID              int // requests for snapshots by ID
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
	if elapsed < c.begins {
		return &ec2.DescribeSnapshotsOutput{}, nil
	}
	state, progress := ec2types.SnapshotStatePending, c.percent(elapsed-c.begins)
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
		image.State, image.StateReason = ec2types.ImageStateFailed, &ec2types.StateReason{Message: aws.String("the key does not exist")}
	case elapsed >= c.takes:
		image.State = ec2types.ImageStateAvailable
		image.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String("snap-1")}}}
	}
	return &ec2.DescribeImagesOutput{Images: []ec2types.Image{image}}, nil
}

func (c *copying) wait(t *testing.T) (image Image, said []string, err error) {
	c.now = noon
	wait := poll.Waiter{Interval: time.Second, First: 10 * time.Second, Timeout: 3 * time.Hour, Clock: c}
	progress := Progress{Say: func(line string) { said = append(said, line) }, Clock: c}
	image, err = WaitAvailable(t.Context(), c, Image{Region: "us-west-2", ID: "ami-1"}, wait, &progress)
	return image, said, err
}

func linear(total time.Duration) func(time.Duration) string {
	return func(elapsed time.Duration) string { return fmt.Sprintf("%d%%", min(99, 100*elapsed/total)) }
}

// TestWaitAvailableReportsProgress: a long copy reports its progress a few times, a short one not.
func TestWaitAvailableReportsProgress(t *testing.T) {
	for _, test := range []struct {
		name    string
		takes   time.Duration
		percent func(time.Duration) string
		want    []string
	}{
		{"a short copy reports nothing", 15 * time.Second, linear(15 * time.Second), nil},
		{"an hour has eight reports", time.Hour, linear(time.Hour), []string{
			"ami-1 after 20s: 0 %", "ami-1 after 1m50s: 3 %; expected at 13:00 UTC, in about 59m", "ami-1 after 4m: 6 %; expected at 13:00 UTC, in about 57m",
			"ami-1 after 8m: 13 %; expected at 13:00 UTC, in about 52m", "ami-1 after 14m: 23 %; expected at 13:00 UTC, in about 46m",
			"ami-1 after 26m: 43 %; expected at 13:00 UTC, in about 34m", "ami-1 after 42m: 69 %; expected at 13:00 UTC, in about 18m",
			"ami-1 after 58m: 96 %; expected at 13:00 UTC, in about 2m",
		}},
		{"stuck", time.Hour, func(time.Duration) string { return "99%" }, []string{
			"ami-1 after 20s: 99 %", "ami-1 after 1m2s: 99 %", "ami-1 after 2m: 99 %", "ami-1 after 5m: 99 %",
			"ami-1 after 11m: 99 %", "ami-1 after 22m: 99 %", "ami-1 after 38m: 99 %", "ami-1 after 54m: 99 %",
		}},
		{"no progress from EC2", time.Hour, func(time.Duration) string { return "" }, []string{
			"ami-1 after 20s: pending, without reported progress", "ami-1 after 1m1s: pending, without reported progress",
			"ami-1 after 2m: pending, without reported progress", "ami-1 after 5m: pending, without reported progress",
			"ami-1 after 11m: pending, without reported progress", "ami-1 after 22m: pending, without reported progress",
			"ami-1 after 38m: pending, without reported progress", "ami-1 after 53m: pending, without reported progress",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &copying{takes: test.takes, percent: test.percent}
			image, said, err := c.wait(t)
			if err != nil || !slices.Equal(image.Snapshots, []string{"snap-1"}) {
				t.Fatalf("got error %v, snapshots %v", err, image.Snapshots)
			}
			if !slices.Equal(said, test.want) {
				t.Errorf("got %q, want %q", said, test.want)
			}
		})
	}
}

// TestWaitAvailableLimitsRequests bounds the number of requests for the image and its
// snapshots.
func TestWaitAvailableLimitsRequests(t *testing.T) {
	for _, test := range []struct {
		name              string
		copy              copying
		images, snapshots int // at most
	}{
		{"linear", copying{takes: 47370 * time.Millisecond, percent: linear(47370 * time.Millisecond)}, 1, 4},
		{"no progress", copying{takes: 2 * time.Minute, percent: func(time.Duration) string { return "" }}, 8, 60},
		{"stuck at 99 %: only the image", copying{takes: 2 * time.Minute, percent: func(time.Duration) string { return "99%" }}, 60, 1},
		{"started after half a minute", copying{takes: 5 * time.Minute, percent: linear(270 * time.Second), begins: 30 * time.Second}, 8, 32},
		{"snapshots that are not found", copying{takes: 2 * time.Minute, begins: time.Hour}, 40, mostAbsent},
		{"denied look-ups of snapshots", copying{takes: 2 * time.Minute, refused: code("UnauthorizedOperation")}, 60, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &test.copy
			if _, _, err := c.wait(t); err != nil {
				t.Fatal(err)
			}
			if c.images > test.images || c.snapshots > test.snapshots || c.refused == nil && c.snapshots > 1 && c.byID == 0 && test.images == 1 {
				t.Errorf("got %d requests for the image, %d for its snapshots, %d by ID", c.images, c.snapshots, c.byID)
			}
		})
	}
}

// TestWaitAvailableDetectsFailure: an image can fail while the progress of its snapshots
// is stuck.
func TestWaitAvailableDetectsFailure(t *testing.T) {
	for name, percent := range map[string]func(time.Duration) string{
		"at 0 %": func(time.Duration) string { return "0%" }, "stuck": func(time.Duration) string { return "40%" },
		"untold": func(time.Duration) string { return "" }, "linear": linear(10 * time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			c := &copying{takes: 10 * time.Minute, percent: percent, failsAt: 30 * time.Second}
			_, _, err := c.wait(t)
			var ended *EndedError
			if !errors.As(err, &ended) || ended.Reason != "the key does not exist" {
				t.Errorf("got error %v, want the failure and its reason", err)
			}
			if late := c.now.Sub(noon) - c.failsAt; name != "linear" && late > time.Minute {
				t.Errorf("got the failure %s late", late)
			}
		})
	}
}

func code(c string) error { return &smithy.GenericAPIError{Code: c} }

// TestWaitBegunDetectsFailure: an image can fail before it has a snapshot.
func TestWaitBegunDetectsFailure(t *testing.T) {
	c := &copying{now: noon, takes: time.Hour, begins: time.Hour, failsAt: 20 * time.Second}
	wait := poll.Waiter{Interval: time.Second, Timeout: 3 * time.Hour, Clock: c}
	err := WaitBegun(t.Context(), c, Image{Region: "us-west-2", ID: "ami-1"}, 2, wait)
	var ended *EndedError
	if late := c.now.Sub(noon) - c.failsAt; !errors.As(err, &ended) || late > time.Minute {
		t.Errorf("got %v, %s late", err, late)
	}
	c = &copying{now: noon, takes: time.Hour, begins: 30 * time.Second, percent: linear(time.Hour)}
	wait.Clock = c
	if err := WaitBegun(t.Context(), c, Image{Region: "us-west-2", ID: "ami-1"}, 2, wait); err != nil || c.now.Sub(noon) < c.begins {
		t.Errorf("got %v after %s", err, c.now.Sub(noon))
	}
}
