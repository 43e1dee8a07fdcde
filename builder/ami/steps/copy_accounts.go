// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// CopyAccounts lets other accounts copy the images (ami_accounts), all of them
// concurrently. Each image is shared with an account until its copy has ended.
type CopyAccounts struct{}

func (CopyAccounts) Facts() (needs, yields []Fact) {
	return facts(Adopted, SourceImage, ReplacedImages, Benchmark, BuildImage, Images, LaunchTests), facts(Adopted, AccountImages)
}

func (CopyAccounts) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	accounts := b.Config.AMIAccounts
	if len(accounts) == 0 || len(b.Images) == 0 {
		return multistep.ActionContinue
	}
	plans := make([]distribute.Copies, len(accounts))
	for i, a := range accounts { // in sequence, as rendering tags writes to the state bag
		var err error
		if plans[i], err = b.copiesFor(state, a); err != nil {
			return Halt(state, "copying to account %s: %w", a.ID, err)
		}
	}
	ctx, cancel := b.untilRejected(ctx)
	defer cancel()
	outcomes, failures := make([][]distribute.Outcome, len(accounts)), make([]error, len(accounts))
	var wg sync.WaitGroup
	for i, a := range accounts {
		ui.Sayf("Copying the images to account %s in %s...", a.ID, strings.Join(b.Config.RegionsOf(a, b.Clients.Region()), ", "))
		wg.Go(func() {
			outcomes[i], failures[i] = b.copyTo(ctx, state, a, plans[i])
			if b.Config.OnCopyFailure != options.OnFailureKeep && failures[i] != nil {
				cancel() // the copies of the other accounts, too
			}
		})
	}
	wg.Wait()
	if err := b.rejection(); err != nil {
		return Halt(state, "%w", err)
	}
	b.AccountImages = nil
	for i, a := range accounts {
		for _, o := range outcomes[i] {
			if o.Err == nil {
				b.AccountImages = append(b.AccountImages, o.Image)
				b.madeThere[a.ID+" "+o.Region] = o.Image
			}
		}
	}
	slices.SortFunc(b.AccountImages, func(x, y distribute.Image) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Region, y.Region))
	})
	if err := b.missingCopies(ctx, state, plans, outcomes, failures); err != nil {
		return Halt(state, "copying to other accounts: %w", err)
	}
	return multistep.ActionContinue
}

// copiesFor returns the configuration of an account's copies.
func (b *Build) copiesFor(state multistep.StateBag, a options.AccountConfig) (distribute.Copies, error) {
	copies, err := b.copies(state, distribute.Image{})
	if err != nil {
		return copies, err
	}
	copies.Account, copies.Say, copies.Pending, copies.SourceTook = a.ID, UIOf(state).Sayf, reportPending(UIOf(state)), 0
	for _, target := range b.Config.AccountTargets(a, b.Clients.Region()) {
		own := slices.IndexFunc(b.Images, func(i distribute.Image) bool { return i.Region == target.Region })
		if own < 0 {
			continue // on_copy_failure = "keep": the region is reported already
		}
		target.Source = b.Images[own]
		if target, err = b.describedFor(state, a, target); err != nil {
			return copies, err
		}
		copies.Targets = append(copies.Targets, target)
	}
	return copies, nil
}

// copyTo copies the images to an account. Its error is the cause of the first failure.
func (b *Build) copyTo(ctx context.Context, state multistep.StateBag, a options.AccountConfig, copies distribute.Copies) ([]distribute.Outcome, error) {
	ui := UIOf(state)
	lender := b.lender(a, ui.Sayf)
	copies.Lend = lender.Lend
	for i := range copies.Targets {
		target, err := &copies.Targets[i], error(nil)
		if target.Have, err = b.existing(ctx, state, a, *target); err != nil {
			return nil, err
		}
		if len(target.Have.Snapshots) > 0 && b.Report.Resumed {
			// The earlier run may have been killed before it revoked the shares.
			if err := lender.Recall(ctx, target.Source); err != nil {
				return nil, fmt.Errorf("%s: revoking the shares of %s: %w", target.Region, target.Source.ID, err)
			}
		}
	}
	finish := b.finish(ui.Sayf)
	ofCopies := distribute.Finish{IMDSv2: finish.IMDSv2, DeprecateAt: finish.DeprecateAt, Retry: finish.Retry, Say: finish.Say}
	copies.Finish = func(ctx context.Context, image distribute.Image) error {
		return ofCopies.Apply(ctx, b.EC2Of(a.ID, image.Region), image)
	}
	outcomes := copies.Run(ctx, func(region string) distribute.CopyAPI { return b.EC2Of(a.ID, region) })
	return outcomes, distribute.FirstCause(outcomes)
}

// lender returns what shares the build's images with an account.
func (b *Build) lender(a options.AccountConfig, say func(string, ...any)) distribute.Lender {
	l := distribute.Lender{
		Account: a.ID, Role: a.RoleARN, BuildID: b.Config.ID(), Ledger: b.ledger, Retry: b.Patience, Say: say, Remover: b.remover,
		EC2: func(region string) distribute.LendAPI { return b.Clients.EC2(region) },
	}
	if b.Clients.KMS(b.Clients.Region()) != nil {
		l.Keys = func(region string) distribute.GrantAPI { return b.Clients.KMS(region) }
	}
	return l
}

// describedFor returns a target with its tags: those of the image, and the account's.
func (b *Build) describedFor(state multistep.StateBag, a options.AccountConfig, target distribute.Target) (distribute.Target, error) {
	image, snapshot, err := b.imageTags(state, target.Region)
	if err != nil {
		return target, err
	}
	own, err := b.renderTags(state, target.Region, a.Tags)
	if err != nil {
		return target, fmt.Errorf("rendering the tags of account %s: %w", a.ID, err)
	}
	// The tags for sweep and resume come last, as everywhere.
	with := func(all []ec2types.Tag) []ec2types.Tag {
		merged := tags.Overlay(tagMap(all), own)
		for _, key := range []string{tags.BuildID, tags.Expires, tags.State} {
			if value, ok := tagMap(all)[key]; ok {
				merged[key] = value
			}
		}
		return b.fit(merged)
	}
	target.ImageTags, target.SnapshotTags = with(image), with(snapshot)
	return target, nil
}

// existing returns the copy that an earlier run of the build or of this step has made for
// a target; the zero value if there is none. It removes a failed one.
func (b *Build) existing(ctx context.Context, state multistep.StateBag, a options.AccountConfig, target distribute.Target) (distribute.Image, error) {
	if made, again := b.madeThere[a.ID+" "+target.Region]; again || b.Config.BuildID == "" {
		return made, nil
	}
	found, err := distribute.Find(ctx, b.EC2Of(a.ID, target.Region), map[string]string{"tag:" + tags.BuildID: b.Config.ID(), "name": target.Name})
	if err != nil {
		return distribute.Image{}, fmt.Errorf("%s: finding copies of an earlier run: %w", target.Region, err)
	}
	for _, described := range found {
		image := distribute.Of(target.Region, described)
		image.Account = a.ID
		entry := cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: a.ID, Seen: true}
		there := described.State == ec2types.ImageStateAvailable || described.State == ec2types.ImageStatePending
		switch {
		case there && !b.Report.Resumed && tagMap(described.Tags)[tags.State] != tags.Building:
			return distribute.Image{}, fmt.Errorf("%s in %s is a copy of another image of build %s; deregister it, or use another build_id", image.ID, entry.Place(), b.Config.ID())
		case there && b.Report.Resumed:
			UIOf(state).Sayf("%s: found %s (%s)", entry.Place(), image.ID, described.State)
			if tagMap(described.Tags)[tags.State] == tags.Building {
				b.mu.Lock()
				b.unreleased = append(b.unreleased, image) // accounts are searched concurrently
				b.mu.Unlock()
			}
			return image, nil
		case described.State == ec2types.ImageStateDisabled:
			return distribute.Image{}, fmt.Errorf("%s in %s is disabled; enable it or deregister it", image.ID, entry.Place())
		}
		UIOf(state).Sayf("%s: removing %s of an earlier run, which is %s", entry.Place(), image.ID, described.State)
		if err := b.removerOf(entry).Remove(ctx, entry); err != nil {
			return distribute.Image{}, fmt.Errorf("removing %s, which is %s, in %s: %w", image.ID, described.State, entry.Place(), err)
		}
	}
	return distribute.Image{}, nil
}

// missingCopies applies on_copy_failure to copies that other accounts lack. Its error
// ends the build.
func (b *Build) missingCopies(ctx context.Context, state multistep.StateBag, plans []distribute.Copies, outcomes [][]distribute.Outcome, failures []error) error {
	var cause error
	for _, err := range failures {
		if err != nil && (cause == nil || errors.Is(cause, context.Canceled)) {
			cause = err
		}
	}
	switch {
	case cause == nil:
		return nil
	case b.Config.OnCopyFailure == options.OnFailureLater && !errors.Is(cause, context.Canceled):
		b.hold(context.WithoutCancel(ctx), state)
		return fmt.Errorf("%w\nNothing was removed (on_copy_failure = \"retry-later\"). Existing resources:\n%s\n%s", cause, b.held, b.howToResume())
	case b.Config.OnCopyFailure != options.OnFailureKeep || ctx.Err() != nil:
		return cause
	}
	b.Report.FailedAccounts = map[string]map[string]string{}
	for i, a := range b.Config.AMIAccounts {
		failed := map[string]string{}
		if len(outcomes[i]) == 0 && failures[i] != nil {
			for _, region := range b.Config.RegionsOf(a, b.Clients.Region()) {
				failed[region] = failures[i].Error()
			}
		}
		for _, o := range outcomes[i] {
			if o.Err == nil {
				continue
			}
			failed[o.Region] = o.Err.Error()
			existed := slices.ContainsFunc(plans[i].Targets, func(t distribute.Target) bool { return t.Have.ID == o.Image.ID })
			if o.Image.ID != "" && !existed {
				removeImages(ctx, state, distribute.Image{Region: o.Region, ID: o.Image.ID, Account: a.ID})
			}
		}
		for region, why := range failed {
			UIOf(state).Errorf("account %s, %s: no image: %s", a.ID, region, why)
		}
		if len(failed) > 0 {
			b.Report.FailedAccounts[a.ID] = failed
		}
	}
	UIOf(state).Errorf("Continuing without these copies (on_copy_failure = \"keep\"). %s", b.howToResume())
	return nil
}

// Cleanup revokes what is still shared, and removes the copies of a failed build, pending
// ones included, in their accounts.
func (CopyAccounts) Cleanup(state multistep.StateBag) {
	b, ui := BuildOf(state), UIOf(state)
	ctx, cancel := cleanup.Context()
	defer cancel()
	var copies []distribute.Image
	for _, entry := range b.ledger.Left() {
		switch {
		case entry.Kind == cleanup.ImageShare, entry.Kind == cleanup.SnapshotShare, entry.Kind == cleanup.Grant:
			if err := b.removerOf(entry).Remove(ctx, entry); err != nil {
				ui.Errorf("revoking %s in %s: %s", entry.Title(), entry.Region, err)
			}
		case entry.Kind == cleanup.Image && entry.Account != "" && b.takesBack():
			copies = append(copies, distribute.Image{Region: entry.Region, ID: entry.ID, Account: entry.Account})
		}
	}
	removeImages(ctx, state, copies...)
}
