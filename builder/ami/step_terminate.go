// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// stepTerminate ends the instance as soon as its image allows, before the
// copies: a GPU costs by the second.
type stepTerminate struct{ noCleanup }

func (stepTerminate) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	if err := terminate(ctx, state); err != nil {
		return halt(state, "%w", err)
	}
	return multistep.ActionContinue
}

// terminate asks EC2 to end the build's instance, once; without one, or when
// that has been done, it does nothing.
func terminate(ctx context.Context, state multistep.StateBag) error {
	b := buildOf(state)
	if b.report.InstanceID == "" || b.report.InstanceSeconds > 0 {
		return nil
	}
	id := b.report.InstanceID
	_, err := b.clients.EC2(b.clients.Region()).TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	if err != nil && !ec2api.IsNotFound(err) {
		return fmt.Errorf("terminating %s: %w", id, err)
	}
	b.ledger.Strike(b.clients.Region(), id)
	b.report.ran()
	b.report.InstanceSeconds = max(1, int(time.Since(b.report.launched).Round(time.Second)/time.Second))
	uiOf(state).Sayf("Terminated %s (%s), %d s after its launch; %s", id, b.report.InstanceType, b.report.InstanceSeconds, b.report.running())
	return nil
}

// awaitTerminated waits until the instance is gone: until then it holds its
// security group and volumes.
func awaitTerminated(ctx context.Context, state multistep.StateBag) error {
	b := buildOf(state)
	id := b.report.InstanceID
	if id == "" {
		return nil
	}
	return b.awaitGone(ctx, b.clients.EC2(b.clients.Region()), id)
}

func (b *build) awaitGone(ctx context.Context, client *ec2.Client, id string) error {
	wait := b.wait
	wait.Soon = 0 // it was told to long ago
	return wait.Until(ctx, id+" to be gone", func(ctx context.Context) (bool, error) {
		found, err := describeInstance(ctx, client, id)
		if ec2api.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		return found.State.Name == ec2types.InstanceStateNameTerminated, nil
	})
}
