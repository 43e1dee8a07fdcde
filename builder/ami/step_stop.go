// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// stepStop stops the instance, so that its file system is whole when the image
// is taken. A spot instance cannot be stopped; CreateImage reboots it instead,
// as it does with capture = "reboot".
type stepStop struct{ noCleanup }

func (stepStop) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if b.onSpot() || b.config.SkipCreateAMI || b.config.Capture == captureReboot {
		return multistep.ActionContinue
	}
	id, client := b.report.InstanceID, b.clients.EC2(b.clients.Region())
	if !b.config.DisableStopInstance {
		ui.Sayf("Stopping %s...", id)
		_, err := client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
		// An instance that has powered itself off is what is wanted; the wait
		// below tells it from one that has terminated itself.
		if err != nil && !ec2api.IsWrongState(err) {
			return halt(state, "stopping %s: %w", id, err)
		}
		b.report.ran()
	} else {
		ui.Say("Waiting for the instance to be stopped by its provisioners (disable_stop_instance)...")
	}
	err := b.wait.Until(ctx, id+" to stop", func(ctx context.Context) (bool, error) {
		found, err := describeInstance(ctx, client, id)
		if err != nil {
			return false, err
		}
		switch found.State.Name {
		case ec2types.InstanceStateNameStopped:
			return true, nil
		case ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameShuttingDown:
			return false, fmt.Errorf("it is %s; expected shutdown_behavior = \"stop\"", found.State.Name)
		default:
			return false, nil
		}
	})
	if err != nil {
		return halt(state, "stopping: %w", err)
	}
	b.report.ran()
	return multistep.ActionContinue
}
