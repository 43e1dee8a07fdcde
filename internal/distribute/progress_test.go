// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// copying is a snapshot of a region whose progress is a function of time, and
// the clock that passes while somebody waits for it.
type copying struct {
	now, end time.Time
	percent  func(time.Duration) string
	cancel   func()
}

func (c *copying) Now() time.Time { return c.now }

func (c *copying) After(d time.Duration) <-chan time.Time {
	if c.now = c.now.Add(d); c.now.After(c.end) {
		c.cancel()
		return nil
	}
	ready := make(chan time.Time, 1)
	ready <- c.now
	return ready
}

func (c *copying) DescribeSnapshots(context.Context, *ec2.DescribeSnapshotsInput, ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	return &ec2.DescribeSnapshotsOutput{Snapshots: []ec2types.Snapshot{
		{VolumeSize: aws.Int32(30), Progress: aws.String(c.percent(c.now.Sub(noon)))},
		{VolumeSize: aws.Int32(10), Progress: aws.String(c.percent(c.now.Sub(noon)))},
	}}, nil
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestFollow(t *testing.T) {
	for _, test := range []struct {
		name    string
		takes   time.Duration
		percent func(time.Duration) string
		want    []string
	}{
		{"a short copy is not worth a line", 50 * time.Second, linear(50 * time.Second), nil},
		{"an hour has a handful", time.Hour, linear(time.Hour), []string{
			"1 % copied", "5 % copied, about 57m to go (until 13:00)", "11 % copied, about 57m to go (until 13:04)",
			"25 % copied, about 45m to go (until 13:00)", "50 % copied, about 30m to go (until 13:00)", "75 % copied, about 15m to go (until 13:00)",
			"99 % copied, about 1m to go (until 13:01)",
		}},
		{"stuck: said once", time.Hour, func(time.Duration) string { return "99%" }, []string{"99 % copied, less than a minute to go"}},
		{"EC2 says nothing, nor do we", time.Hour, func(time.Duration) string { return "" }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := &copying{now: noon, end: noon.Add(test.takes), percent: test.percent, cancel: cancel}
			var said []string
			Copies{
				Wait: poll.Waiter{Clock: c},
				Say:  func(_ string, args ...any) { said = append(said, args[1].(string)) },
			}.follow(ctx, c, Image{Region: "us-west-2", ID: "ami-1"})
			if !slices.Equal(said, test.want) {
				t.Errorf("said %q, want %q", said, test.want)
			}
		})
	}
}

func linear(total time.Duration) func(time.Duration) string {
	return func(elapsed time.Duration) string { return fmt.Sprintf("%d%%", min(99, 100*elapsed/total)) }
}
