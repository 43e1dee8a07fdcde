// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// stepArm makes the instance's user data, with the switch by which it ends
// itself when max_build_time has passed, although Packer is gone.
type stepArm struct{}

func (stepArm) Run(_ context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	data, unarmed, err := b.config.userData()
	if err != nil {
		return halt(state, "%w", err)
	}
	b.userData = base64.StdEncoding.EncodeToString(data)
	end := "ends"
	if !slices.Equal(b.config.Markets, []string{string(launch.Spot)}) && b.config.InstanceInitiatedShutdownBehavior != string(ec2types.ShutdownBehaviorTerminate) {
		end = "stops"
	}
	switch {
	case unarmed != "":
		ui.Sayf("The instance will not end itself if Packer dies (max_build_time): %s", unarmed)
	case b.config.MaxBuildTime > 0 && !b.simulated():
		ui.Sayf("The instance %s itself %s after its first boot, whatever becomes of Packer (max_build_time)", end, b.config.MaxBuildTime)
	}
	return multistep.ActionContinue
}

// simulated says that the instance runs nothing.
func (b *build) simulated() bool {
	return b.config.Rehearsal && b.config.RehearsalInstance == rehearsal.NoInstance
}

// Cleanup says why an instance was lost, if that is why.
func (stepArm) Cleanup(state multistep.StateBag) {
	b := buildOf(state)
	limit := b.config.MaxBuildTime
	if !b.done && limit > 0 && !b.report.launched.IsZero() && time.Since(b.report.launched) >= limit {
		uiOf(state).Errorf("max_build_time = %q has passed since the launch, so the instance has ended itself; raise it if the build needs longer", b.config.RawMaxBuildTime)
	}
}
