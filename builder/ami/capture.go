// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
)

// stopOnceCaptured stops an instance that runs while its image is made, as soon
// as all of its snapshots are begun: each holds what its volume held then. The
// instance is not terminated yet, as its volumes would go with it, and AWS does
// not say that a snapshot which is still pending can do without its volume. A
// one-time spot instance cannot be stopped. It is no error if it runs on.
func (b *build) stopOnceCaptured(ctx context.Context, client *ec2.Client, ui packersdk.Ui) {
	if b.config.Capture != captureReboot || b.onSpot() {
		return
	}
	id := b.report.InstanceID
	found, err := describeInstance(ctx, client, id)
	if err == nil {
		left := map[string]bool{}
		for _, device := range b.config.AMIMappings {
			left[device.DeviceName] = device.NoDevice
		}
		volumes := 0
		for _, device := range found.BlockDeviceMappings {
			if device.Ebs != nil && !left[aws.ToString(device.DeviceName)] {
				volumes++
			}
		}
		ui.Sayf("Waiting until EC2 has shut %s down and begun its snapshots (%d)...", id, volumes)
		err = distribute.WaitBegun(ctx, client, b.image, volumes, b.wait)
	}
	if err == nil {
		_, err = client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	}
	switch {
	case ctx.Err() != nil: // the wait for the image says so
	case err != nil:
		ui.Errorf("%s runs on until its image is there: %s", id, err)
	default:
		b.report.ran()
		ui.Sayf("Stopping %s: its snapshots are begun", id)
	}
}
