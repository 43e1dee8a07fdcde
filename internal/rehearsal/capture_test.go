// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// EC2 starts the snapshots of a running instance's image after it has shut the instance
// down. If the instance stops before that, the image fails.
func TestCreateImageOfRunningInstance(t *testing.T) {
	for _, test := range []struct {
		name    string
		reboot  bool
		stopAt  time.Duration // time from CreateImage to the stop
		visible bool          // the snapshot exists at that time
		want    types.ImageState
	}{
		{"stopped after the snapshots started", true, 5 * time.Second, true, types.ImageStateAvailable},
		{"stopped before the snapshots started", true, 4 * time.Second, false, types.ImageStateFailed},
		{"without a reboot the snapshots start immediately", false, 0, true, types.ImageStateAvailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, "running=9s,stopped=13s,reboot=5s,image=31s,notfound=0s")
			id := l.run()
			l.clock.Advance(9 * time.Second)
			image := must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(t.Context(), &sdk.CreateImageInput{
				InstanceId: aws.String(id), Name: aws.String("of-a-running-one"), NoReboot: aws.Bool(!test.reboot),
			}))
			l.clock.Advance(test.stopAt)
			out := must[*sdk.DescribeSnapshotsOutput](l)(l.ec2.DescribeSnapshots(t.Context(), &sdk.DescribeSnapshotsInput{OwnerIds: []string{"self"}}))
			if visible := len(out.Snapshots) > 0; visible != test.visible {
				t.Errorf("%s after CreateImage: snapshot exists: got %t, want %t", test.stopAt, visible, test.visible)
			}
			must[*sdk.StopInstancesOutput](l)(l.ec2.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{id}}))
			l.clock.Advance(36 * time.Second)
			if got := l.image("eu-central-1", *image.ImageId).State; got != test.want {
				t.Errorf("image state: got %s, want %s", got, test.want)
			}
		})
	}
}
