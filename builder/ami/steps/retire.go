// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/retention"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Retire retires older releases (keep_releases). It reports errors, but does
// not fail the build.
type Retire struct{ noCleanup }

func (Retire) Facts() (needs, yields []Fact) { return facts(Adopted, Images), nil }

func (Retire) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if b.Config.KeepReleases == 0 || b.Config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	if len(b.Report.FailedRegions) > 0 {
		ui.Say("Skipping the retirement of older releases: some regions have no new image")
		return multistep.ActionContinue
	}
	named, err := retention.InFiles(b.Config.KeepNamedIn)
	if err != nil {
		ui.Errorf("skipping the retirement of older releases: could not read keep_named_in: %s", err)
		return multistep.ActionContinue
	}
	family := b.Config.Family()
	if inherited := b.Inherited[tags.Family]; inherited != "" {
		family = inherited
	}
	_ = b.inAllRegions(b.Images, func(image distribute.Image) error {
		client := b.Clients.EC2(image.Region)
		err := retention.Policy{
			Family: family,
			Keep:   b.Config.KeepReleases,
			Newest: image.ID,
			Grace:  b.Config.RetireGrace(),
			Now:    time.Now(),
			Named:  named,
			References: func(ctx context.Context, ids []string) (map[string][]string, error) {
				return b.Clients.ImageReferences(ctx, image.Region, ids)
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
