// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// clearLeft removes the leftovers of an earlier run of a resumed build, except
// images: an instance, its security group, its key pair and its launch template. Resources that it
// cannot remove stay in the ledger; that does not fail the build.
func (b *Build) clearLeft(ctx context.Context, state multistep.StateBag) {
	left, err := b.findLeft(ctx)
	if err != nil {
		UIOf(state).Errorf("could not find all leftovers of the earlier run: %s", err)
	}
	var removed []string
	for _, entry := range left {
		b.ledger.Add(entry)
		if err := b.remover(entry.Region).Remove(ctx, entry); err != nil {
			UIOf(state).Errorf("removing leftover %s in %s: %s", entry.ID, entry.Region, err)
			continue
		}
		removed = append(removed, entry.ID)
	}
	if len(removed) > 0 {
		UIOf(state).Sayf("Removed leftovers of the earlier run: %s", strings.Join(removed, ", "))
	}
}

// findLeft returns the resources with the build's id, except images and their
// snapshots, in the order of removal.
func (b *Build) findLeft(ctx context.Context) (left []cleanup.Entry, err error) {
	home := b.Clients.Region()
	var failures []error
	for _, region := range slices.Compact(append([]string{home}, b.Config.ImageRegions(home)...)) {
		found, err := cleanup.Find(ctx, b.Clients.EC2(region), region, cleanup.Choice{BuildID: b.Config.ID()}, time.Now())
		failures = append(failures, err)
		held, err := b.heldSnapshots(ctx, region)
		failures = append(failures, err)
		for _, r := range found {
			if r.Kind == cleanup.Image || r.Kind == cleanup.Snapshot && (err != nil || held == nil || held[r.ID]) {
				continue
			}
			left = append(left, cleanup.Entry{Kind: r.Kind, Region: region, ID: r.ID, Seen: true})
		}
	}
	if b.Config.TemporaryIamInstanceProfilePolicyDocument != nil {
		found, _, err := cleanup.LookIAM(ctx, b.Clients.IAM(), cleanup.Choice{BuildID: b.Config.ID()}, time.Now())
		failures = append(failures, err)
		for _, r := range found {
			left = append(left, cleanup.Entry{Kind: r.Kind, Region: cleanup.Global, ID: r.ID, Seen: true})
		}
	}
	return left, errors.Join(failures...)
}

// heldSnapshots returns the snapshots of the build's images. It returns nil if an
// image is pending, as that may not list its snapshots yet.
func (b *Build) heldSnapshots(ctx context.Context, region string) (map[string]bool, error) {
	images, err := distribute.Find(ctx, b.Clients.EC2(region), map[string]string{"tag:" + tags.BuildID: b.Config.ID()})
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, image := range images {
		if image.State == ec2types.ImageStatePending {
			return nil, nil
		}
		for _, id := range cleanup.SnapshotsOf(image) {
			held[id] = true
		}
	}
	return held, nil
}

// OlderBuilds lists leftover instances of dead builds in the build's region,
// the most expensive kind of leftover. It makes one request and ignores errors.
type OlderBuilds struct{ noCleanup }

func (OlderBuilds) Facts() (needs, yields []Fact) { return nil, nil }

func (OlderBuilds) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	region := b.Clients.Region()
	found, err := cleanup.Instances(ctx, b.Clients.EC2(region), region)
	if err != nil {
		return multistep.ActionContinue
	}
	command := "packer-plugin-ethminer sweep -region " + region
	if b.Config.Rehearsal {
		command = "packer-plugin-ethminer sweep -rehearsal " + shellquote.Word(b.Config.RehearsalState) + " -region " + region
	}
	now := time.Now()
	for _, left := range found {
		if !left.Dead(now) {
			continue
		}
		ui.Sayf("Found leftover instance of an older build (%s): %s (%s, since %s); `%s` removes it",
			left.BuildID, left.ID, left.State, aws.ToTime(left.Since).UTC().Format(time.RFC3339), command)
	}
	return multistep.ActionContinue
}
