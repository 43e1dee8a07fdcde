// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
)

// stepDisarm takes back that the instance, which has stopped or is about to be
// shut down for its image, terminates when it is shut down. The switch itself went with the machine's memory; but EC2
// stores this attribute in an image, by the User Guide of 2013, and a machine
// of the image must not be lost by shutting it down. Later editions are silent,
// so a refusal is only said.
type stepDisarm struct{ noCleanup }

func (stepDisarm) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := buildOf(state)
	if b.config.SkipCreateAMI || b.onSpot() || b.config.InstanceInitiatedShutdownBehavior != string(ec2types.ShutdownBehaviorTerminate) {
		return multistep.ActionContinue
	}
	_, err := b.clients.EC2(b.clients.Region()).ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{
		InstanceId:                        aws.String(b.report.InstanceID),
		InstanceInitiatedShutdownBehavior: &ec2types.AttributeValue{Value: aws.String(string(ec2types.ShutdownBehaviorStop))},
	})
	if err != nil && ctx.Err() == nil {
		uiOf(state).Errorf("setting the shutdown behaviour of %s back to stop: %s\n"+
			"Instances of the image might terminate when they are shut down, unless they are launched with a behaviour of their own.", b.report.InstanceID, err)
	}
	return multistep.ActionContinue
}
