// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// stopOnceCaptured waits, where the instance runs while its image is made, until
// all of its snapshots are begun, each of which holds what its volume held then,
// and stops the instance. It is not terminated yet, as its volumes would go with
// it, and AWS does not say that a snapshot which is still pending can do without
// its volume; a one-time spot instance, which cannot be stopped, runs on. It is
// no error if it runs on.
func (b *build) stopOnceCaptured(ctx context.Context, client *ec2api.EC2, ui packersdk.Ui) {
	if b.config.Capture != captureReboot && !b.onSpot() {
		return
	}
	id := b.report.InstanceID
	ui.Sayf("Waiting until EC2 has shut %s down and begun its snapshots...", id)
	err := b.awaitBegun(ctx, client)
	if b.onSpot() {
		if err != nil {
			log.Printf("[WARN] waiting for the snapshots to begin: %s", err)
		}
		return
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

// awaitBegun waits for the snapshots of all volumes that the image has.
func (b *build) awaitBegun(ctx context.Context, client *ec2api.EC2) error {
	found, err := describeInstance(ctx, client, b.report.InstanceID)
	if err != nil {
		return err
	}
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
	return distribute.WaitBegun(ctx, client, b.image, volumes, b.wait)
}
