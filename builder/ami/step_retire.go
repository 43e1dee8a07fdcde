// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/releases"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// stepRetire retires older releases (keep_releases). The build is good without
// it: what it cannot do, it says.
type stepRetire struct{ noCleanup }

func (stepRetire) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := buildOf(state), uiOf(state)
	if b.config.KeepReleases == 0 || b.config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	if len(b.report.FailedRegions) > 0 {
		ui.Say("No older release is retired: the new images are not in all regions")
		return multistep.ActionContinue
	}
	named, err := releases.InFiles(b.config.KeepNamedIn)
	if err != nil {
		ui.Errorf("No older release is retired: what keep_named_in names cannot be known: %s", err)
		return multistep.ActionContinue
	}
	family := b.config.family()
	if inherited := b.inherited[tags.Family]; inherited != "" {
		family = inherited
	}
	_ = b.inAllRegions(b.images, func(image distribute.Image) error {
		client := b.clients.EC2(image.Region)
		err := releases.Policy{
			Family: family,
			Keep:   b.config.KeepReleases,
			Newest: image.ID,
			Grace:  b.config.retireAfter,
			Now:    time.Now(),
			Named:  named,
			References: func(ctx context.Context, ids []string) (map[string][]string, error) {
				return b.clients.ImageReferences(ctx, image.Region, ids)
			},
			Say: ui.Sayf,
		}.Run(ctx, client, image.Region)
		if err != nil {
			ui.Errorf("keep_releases: %s: %s", image.Region, err)
		}
		return nil
	})
	return multistep.ActionContinue
}
