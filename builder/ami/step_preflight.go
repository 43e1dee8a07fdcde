// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
)

// stepPreflight finds out what only AWS can tell, before anything is created.
type stepPreflight struct{ noCleanup }

func (stepPreflight) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	checks := preflight.Checks{BuildRegion: b.clients.Region(), ImageRegions: b.config.imageRegions(b.clients.Region())}
	checks.Has = map[string]bool{}
	for region := range b.adopted {
		checks.Has[region] = true
	}
	if b.config.AMISkipRegionValidation {
		checks.SkipRegions = true
	}
	if !b.config.SkipCreateAMI && !b.config.AMIForceDeregister {
		checks.ImageName = b.config.AMIName
	}
	ui.Sayf("Checking %d regions for %q before anything is created...", len(checks.ImageRegions), b.config.AMIName)
	err := checks.Run(ctx, func(region string) preflight.API { return b.clients.EC2(region) })
	if err != nil {
		return halt(state, "preflight: %w", err)
	}
	return multistep.ActionContinue
}
