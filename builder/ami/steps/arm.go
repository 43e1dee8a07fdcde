// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// Arm builds the instance's user data with the auto-termination of
// max_build_time, which works even if Packer dies.
type Arm struct{}

func (Arm) Facts() (needs, yields []Fact) { return nil, facts(UserData) }

func (Arm) Run(_ context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	data, unarmed, err := b.Config.ArmedUserData()
	if err != nil {
		return Halt(state, "%w", err)
	}
	b.userData = base64.StdEncoding.EncodeToString(data)
	end := "terminates"
	if !slices.Equal(b.Config.Markets, []string{string(launch.Spot)}) && b.Config.InstanceInitiatedShutdownBehavior != string(ec2types.ShutdownBehaviorTerminate) {
		end = "stops"
	}
	switch {
	case unarmed != "":
		ui.Sayf("Auto-termination not available (max_build_time): %s; if Packer dies, the instance keeps running", unarmed)
	case b.Config.MaxBuildTime > 0 && !b.simulated():
		ui.Sayf("Auto-termination armed (max_build_time): the instance %s %s after its first boot if it still exists then, even if Packer has died", end, b.Config.MaxBuildTime)
	}
	return multistep.ActionContinue
}

// simulated reports whether the instance only exists in the simulator.
func (b *Build) simulated() bool {
	return b.Config.Rehearsal && b.Config.RehearsalInstance == rehearsal.NoInstance
}

// Cleanup reports that max_build_time has passed, if that ended the instance.
func (Arm) Cleanup(state multistep.StateBag) {
	b := BuildOf(state)
	limit := b.Config.MaxBuildTime
	if !b.Done && limit > 0 && !b.launched.IsZero() && time.Since(b.launched) >= limit {
		UIOf(state).Errorf("max_build_time: the instance shut itself down %s after its first boot; raise max_build_time if the build needs longer", b.Config.RawMaxBuildTime)
	}
}

// Disarm resets shutdown_behavior to stop before the image is created. By the
// EC2 User Guide of 2013 an image stores this attribute, and instances of the
// image must not terminate on shutdown. Later editions do not mention it, so a
// failure is only reported.
type Disarm struct{ noCleanup }

func (Disarm) Facts() (needs, yields []Fact) { return facts(Instance), nil }

func (Disarm) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	if b.Config.SkipCreateAMI || b.onSpot() || b.Config.InstanceInitiatedShutdownBehavior != string(ec2types.ShutdownBehaviorTerminate) {
		return multistep.ActionContinue
	}
	_, err := b.Clients.EC2(b.Clients.Region()).ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{
		InstanceId:                        aws.String(b.Report.InstanceID),
		InstanceInitiatedShutdownBehavior: &ec2types.AttributeValue{Value: aws.String(string(ec2types.ShutdownBehaviorStop))},
	})
	if err != nil && ctx.Err() == nil {
		UIOf(state).Errorf("resetting the shutdown behavior of %s to stop: %s\n"+
			"Instances launched from the image might terminate on shutdown, unless they are launched with an explicit shutdown behavior", b.Report.InstanceID, err)
	}
	return multistep.ActionContinue
}
