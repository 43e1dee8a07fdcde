// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Stop stops the instance, so that the image has a consistent file system. A
// spot instance cannot be stopped, so CreateImage uses the running one.
type Stop struct{ noCleanup }

func (Stop) Facts() (needs, yields []Fact) { return facts(Instance), nil }

func (Stop) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if b.Config.SkipCreateAMI || b.capture() != options.CaptureStop {
		return multistep.ActionContinue
	}
	id, client := b.Report.InstanceID, b.Clients.EC2(b.Clients.Region())
	if !b.Config.DisableStopInstance {
		ui.Sayf("Stopping %s...", id)
		err := b.stopInstance(ctx, client)
		// An instance that has powered itself off is fine; the wait below detects
		// one that has terminated.
		if err != nil && !awsclient.IsWrongState(err) {
			return Halt(state, "stopping %s: %w", id, err)
		}
		b.ran()
	} else {
		ui.Say("Waiting for the provisioners to stop the instance (disable_stop_instance)...")
	}
	if err := b.awaitStopped(ctx, client); err != nil {
		return Halt(state, "stopping: %w", err)
	}
	b.ran()
	return multistep.ActionContinue
}

// capture returns how the image is made: the option capture, but a spot instance
// cannot be stopped.
func (b *Build) capture() string {
	if b.onSpot() && b.Config.Capture == options.CaptureStop {
		return options.CaptureReboot
	}
	return b.Config.Capture
}

// stopInstance requests the stop. EC2 may not find a young instance yet, so it
// retries NotFound.
func (b *Build) stopInstance(ctx context.Context, client *awsclient.EC2) error {
	id := b.Report.InstanceID
	var refused error
	err := b.settles().Until(ctx, "EC2 to find "+id, func(ctx context.Context) (bool, error) {
		_, err := client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
		if awsclient.IsNotFound(err) {
			return false, err
		}
		refused = err
		return true, nil
	})
	return errors.Join(err, refused)
}

// awaitStopped waits until the instance has stopped.
func (b *Build) awaitStopped(ctx context.Context, client *awsclient.EC2) error {
	id := b.Report.InstanceID
	return b.wait.Until(ctx, id+" to stop", func(ctx context.Context) (bool, error) {
		found, err := launch.Describe(ctx, client, id)
		if err != nil {
			return false, err
		}
		switch found.State.Name {
		case ec2types.InstanceStateNameStopped:
			return true, nil
		case ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameShuttingDown:
			return false, fmt.Errorf("the instance is %s; set shutdown_behavior = \"stop\" if a provisioner powers it off", found.State.Name)
		default:
			return false, nil
		}
	})
}
