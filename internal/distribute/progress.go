// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// How long a copy goes on before it is first asked how far it is, and the
// longest pause between two questions; each pause is twice the one before, so
// that an hour's copy has half a dozen lines, and a short one none.
const (
	firstLook   = time.Minute
	longestLook = 15 * time.Minute
)

// follow says how far a copy is, whenever it has got on, until the context
// ends. What it cannot find out it does not say.
func (c Copies) follow(ctx context.Context, client ec2.DescribeSnapshotsAPIClient, image Image) {
	clock := c.Wait.Clock
	if clock == nil {
		clock = poll.Wall{}
	}
	begun, said := clock.Now(), 0
	for pause := firstLook; ; pause = min(2*pause, longestLook) {
		select {
		case <-ctx.Done():
			return
		case <-clock.After(pause):
		}
		percent, ok := copied(ctx, client, image.ID)
		if !ok || percent <= said || ctx.Err() != nil {
			continue
		}
		said = percent
		c.Say("%s: %s", image.Region, progressLine(percent, begun, clock.Now()))
	}
}

// progressLine is how far a copy is, and when it ends if it goes on as it did,
// once there is enough of it to judge by.
func progressLine(percent int, begun, now time.Time) string {
	if percent < 5 {
		return fmt.Sprintf("%d %% copied", percent)
	}
	rest := time.Duration(float64(now.Sub(begun)) * float64(100-percent) / float64(percent)).Round(time.Minute)
	if rest < time.Minute {
		return fmt.Sprintf("%d %% copied, less than a minute to go", percent)
	}
	return fmt.Sprintf("%d %% copied, about %s to go (until %s)", percent, strings.TrimSuffix(rest.String(), "0s"), now.Add(rest).Format("15:04"))
}

// copied is how much of a pending image's snapshots is there, by their sizes.
func copied(ctx context.Context, client ec2.DescribeSnapshotsAPIClient, image string) (percent int, ok bool) {
	out, err := client.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"},
		Filters:  []ec2types.Filter{{Name: aws.String("description"), Values: madeFor(image)}},
	})
	if err != nil {
		return 0, false
	}
	var done, all int64
	for _, snapshot := range out.Snapshots {
		size := int64(aws.ToInt32(snapshot.VolumeSize))
		n, err := strconv.Atoi(strings.TrimSuffix(aws.ToString(snapshot.Progress), "%"))
		if err != nil {
			return 0, false // EC2 says nothing of this one, as yet
		}
		done, all = done+int64(n)*size, all+size
	}
	if all == 0 {
		return 0, false
	}
	return int(done / all), true
}
