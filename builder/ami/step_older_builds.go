// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/sweep"
)

// stepOlderBuilds names the instances that dead builds have left in the build's
// region: nothing else that they leave costs as much. It is one call, and
// whatever is wrong with it is not this build's concern.
type stepOlderBuilds struct{ noCleanup }

func (stepOlderBuilds) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	region := b.clients.Region()
	found, err := sweep.Instances(ctx, b.clients.EC2(region), region)
	if err != nil {
		return multistep.ActionContinue
	}
	command := "packer-plugin-ethminer sweep --region " + region
	if b.config.Rehearsal {
		command = fmt.Sprintf("packer-plugin-ethminer sweep --rehearsal %q --region %s", b.config.RehearsalState, region)
	}
	now := time.Now()
	for _, left := range found {
		if !left.Dead(now) {
			continue
		}
		ui.Sayf("An older build (%s) left %s (%s, since %s): `%s` removes it",
			left.BuildID, left.ID, left.State, aws.ToTime(left.Since).UTC().Format(time.RFC3339), command)
	}
	return multistep.ActionContinue
}
