// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// ReportFailure prints what a failed or cancelled build leaves, and how to resume
// it.
func (b *Build) ReportFailure(ui packersdk.Ui) {
	if !b.mayLeave() {
		return
	}
	b.ReportLeft(ui)
	b.reportBuild(ui)
	b.reportAdopted(ui)
	b.reportCommitted(ui)
}

// mayLeave reports whether resources of the build may exist: this run may have created
// some, or an earlier one.
func (b *Build) mayLeave() bool {
	return b.Begun || b.Sourced || b.Config.BuildID != "" || len(b.ledger.Left()) > 0
}

// ReportLeft lists the resources that the build created but could neither delete
// nor hand over, with the commands that remove them. It skips resources that no
// longer exist.
func (b *Build) ReportLeft(ui packersdk.Ui) {
	ctx, cancel := clock.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	keep := b.howToKeep()
	first := true
	for _, entry := range b.ledger.Left() {
		made := b.ledger.Made(entry)
		old := made.IsZero() || clock.Since(made) > cmp.Or(b.remover("").Settling, cleanup.Settling)
		there, err := b.removerOf(entry).Present(ctx, entry)
		if err == nil && !there && old {
			b.ledger.Strike(entry)
			continue
		}
		known := "left behind"
		if err != nil { // for example in an outage, or without the permission to describe it
			known = "may be left behind"
		}
		if keep != "" {
			first = false
			ui.Errorf("%s: %s in %s", known, entry.Title(), entry.Place())
			continue
		}
		if first && b.Config.Rehearsal {
			ui.Errorf("The commands below apply to the rehearsal's AWS. First set its credentials:\n  %s", rehearsal.Shell(cmp.Or(b.Config.RehearsalState, rehearsal.DefaultStateDir)))
		}
		first = false
		with := ""
		if entry.Account != "" {
			with = " with the credentials of that account"
		}
		ui.Errorf("%s: %s in %s. To remove it%s:\n  %s", known, entry.Title(), entry.Place(), with, b.Command(entry))
	}
	if b.Done && !first && keep != "" { // reportBuild says it after a failure
		ui.Say(keep)
	}
}

// reportTimeout limits the last check of leftovers.
const reportTimeout = 20 * time.Second

// reportBuild prints the id of a failed or cancelled build, how to resume it, and
// the command that finds and removes its leftovers.
func (b *Build) reportBuild(ui packersdk.Ui) {
	if b.Config.Preflight == options.PreflightOnly {
		return
	}
	if keep := b.howToKeep(); keep != "" {
		if b.held == "" { // else the error says it
			ui.Say(keep)
		}
		return
	}
	where := "-region " + shellquote.Word(strings.Join(slices.Compact(append([]string{b.Clients.Region()}, b.Config.ImageRegions(b.Clients.Region())...)), ","))
	if b.Config.Rehearsal {
		where = "-rehearsal " + shellquote.Word(cmp.Or(b.Config.RehearsalState, rehearsal.DefaultStateDir))
	}
	ui.Sayf("Build ID: %s\n  resume:    set build_id = %q and run the same build again\n  leftovers: packer-plugin-ethminer sweep -build-id %s %s",
		b.Config.ID(), b.Config.ID(), b.Config.ID(), where)
}

// howToKeep returns how to keep the resources of a rehearsal whose server stops with
// Packer; empty if they remain.
func (b *Build) howToKeep() string {
	if !b.Config.Rehearsal {
		return ""
	}
	o := b.Config.RehearsalOptions()
	session, err := rehearsal.Find(context.Background(), o.StateDir)
	if err != nil || !session.Owned {
		return ""
	}
	return "The simulated resources end with this rehearsal. To keep them for the next build, start the server first: " + o.ServeCommand()
}

// reportAdopted lists the images that a failed run adopted and kept, and tags
// them as held so that a sweep does not delete them.
func (b *Build) reportAdopted(ui packersdk.Ui) {
	if !b.Report.Resumed || len(b.adopted) == 0 || b.Config.Preflight == options.PreflightOnly {
		return
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	finish := b.finish(ui.Sayf)
	err := b.inAllRegions(b.unreleased, func(image distribute.Image) error {
		return finish.Tag(ctx, b.EC2Of(image.Account, image.Region), image, ec2Tags(map[string]string{tags.State: tags.Held}))
	})
	if err != nil {
		ui.Errorf("could not tag the images as held; `sweep` may delete them once the time in their tag %s has passed: %s", tags.Expires, err)
	}
	ui.Sayf("Keeping the existing images of build %s in %s. %s",
		b.Config.ID(), strings.Join(slices.Sorted(maps.Keys(b.adopted)), ", "), b.howToResume())
}

// reportCommitted lists the new images of a build that failed or was cancelled
// while it replaced images, or set parameters in other accounts.
func (b *Build) reportCommitted(ui packersdk.Ui) {
	if !b.committed {
		return
	}
	var there []string
	for _, image := range b.Images {
		there = append(there, fmt.Sprintf("  %s: %s", image.Region, image.ID))
	}
	for _, image := range b.AccountImages {
		there = append(there, fmt.Sprintf("  account %s, %s: %s", image.Account, image.Region, image.ID))
	}
	finish := fmt.Sprintf("\nTo finish the build, set build_id = %q in the source block and run the same build again.", b.Config.ID())
	if b.howToKeep() != "" { // reportBuild has said it
		finish = ""
	}
	ui.Errorf("Keeping the new images, which are complete:\n%s%s", strings.Join(there, "\n"), finish)
}

// howToResume returns the instructions to create the missing images.
func (b *Build) howToResume() string {
	if keep := b.howToKeep(); keep != "" {
		return keep
	}
	if b.Config.SourceAMIFrom != "" {
		return "To create the missing images, run the same build again: it finds existing images by name."
	}
	return fmt.Sprintf("To create the missing images, set build_id = %q in the source block and run the same build again.", b.Config.ID())
}

// HandOver removes the images from the ledger, so that they are no leftovers.
func (b *Build) HandOver() {
	for _, image := range slices.Concat(b.Images, b.AccountImages) {
		b.ledger.Strike(cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: image.Account})
		for _, snapshot := range image.Snapshots {
			b.ledger.Strike(cleanup.Entry{Kind: cleanup.Snapshot, Region: image.Region, ID: snapshot, Account: image.Account})
		}
	}
}
