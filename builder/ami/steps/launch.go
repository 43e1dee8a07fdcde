// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Launch launches an instance with the fallbacks of internal/launch, and waits
// until it is running.
type Launch struct{}

func (Launch) Facts() (needs, yields []Fact) {
	return facts(SourceImage, Places, SecurityGroups, Profile, UserData), facts(Instance)
}

func (Launch) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	ctx = awsclient.WaitOut(ctx) // an instance may be running after a lost response
	if err := b.launchInstance(ctx, b.Clients.EC2(b.Clients.Region()), state); err != nil {
		return Halt(state, "launching: %w", err)
	}
	b.removeTemplates(UIOf(state))
	if b.Config.PackerDebug {
		sayAddresses(UIOf(state), state.Get(keyInstance).(ec2types.Instance))
	}
	return multistep.ActionContinue
}

// awaitRunning notes the instance of a launch attempt, and waits until it is
// running. It returns a *launch.EndedError if EC2 ends the instance before.
func (b *Build) awaitRunning(ctx context.Context, client *awsclient.EC2, state multistep.StateBag, instance ec2types.Instance, attempt launch.Attempt) error {
	ui, id := UIOf(state), aws.ToString(instance.InstanceId)
	b.Report.InstanceID, b.Report.InstanceType, b.Report.Market = id, string(instance.InstanceType), string(attempt.Market)
	b.Report.Architecture = string(instance.Architecture)
	b.Report.InstanceSeconds, b.launched, b.runs = 0, time.Now(), time.Time{}
	if instance.Placement != nil {
		b.Report.Zone = aws.ToString(instance.Placement.AvailabilityZone)
	}
	state.Put(keyInstance, instance)
	state.Put(keyInstanceID, id) // for provisioners, as build.ID
	ui.Sayf("Instance %s is starting: %s, %s, %s", id, b.Report.InstanceType, attempt.Market, b.Report.Zone)
	notePrice := b.askPrice(ctx, attempt)
	err := b.wait.Until(ctx, id+" to run", func(ctx context.Context) (bool, error) {
		found, err := launch.Describe(ctx, client, id)
		if err != nil {
			return false, err
		}
		state.Put(keyInstance, found)
		switch {
		case found.State.Name == ec2types.InstanceStateNamePending,
			found.State.Name == ec2types.InstanceStateNameShuttingDown && found.StateReason == nil: // EC2 returns the reason later
			return false, nil
		case found.State.Name == ec2types.InstanceStateNameRunning:
			b.runs = time.Now()
			return true, nil
		}
		return false, launch.Ended(found)
	})
	if ended := new(launch.EndedError); errors.As(err, &ended) {
		notePrice(func(string, ...any) {}) // the instance is not billed
		return ended
	}
	notePrice(ui.Sayf)
	return err
}

// sayAddresses prints the addresses for a login with -debug, for which KeyPair
// has saved the key.
func sayAddresses(ui packersdk.Ui, instance ec2types.Instance) {
	for _, address := range []struct {
		what  string
		value *string
	}{
		{"Public DNS", instance.PublicDnsName}, {"Public IP", instance.PublicIpAddress}, {"Private IP", instance.PrivateIpAddress},
	} {
		if value := aws.ToString(address.value); value != "" {
			ui.Sayf("%s: %s", address.what, value)
		}
	}
}

// Cleanup terminates the instance if the build did not reach Terminate, and removes the
// launch template of a fleet that launched none.
func (Launch) Cleanup(state multistep.StateBag) {
	ctx, cancel := cleanup.Context()
	defer cancel()
	err := terminate(ctx, state)
	BuildOf(state).removeTemplates(UIOf(state))
	if err != nil {
		UIOf(state).Errorf("%s", err)
		return
	}
	// EC2 deletes the security group only after the instance.
	if err := awaitTerminated(ctx, state); err != nil {
		UIOf(state).Errorf("%s", err)
	}
}
