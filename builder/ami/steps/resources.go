// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// rehearsalSettling is how long a rehearsal may not find a new resource. It is
// shorter than AWS's minutes, as the user waits for it after Ctrl-C.
const rehearsalSettling = 20 * time.Second

// remover returns the remover of a region's resources. An empty region has no
// client; cleanup.Global is IAM's.
func (b *Build) remover(region string) cleanup.Remover {
	r := cleanup.Remover{Ledger: b.ledger, Interval: b.wait.Interval, Settling: b.Settling, Patience: b.Removal}
	switch region {
	case "":
	case cleanup.Global:
		r.IAM = b.Clients.IAM()
	default:
		r.Client, r.Shares = b.Clients.EC2(region), b.Clients.EC2(region)
		if keys := b.Clients.KMS(region); keys != nil {
			r.Grants = keys
		}
	}
	if r.Settling == 0 && b.Config.Rehearsal {
		r.Settling = rehearsalSettling
	}
	return r
}

// removerOf returns the remover of a resource, in the account that owns it.
func (b *Build) removerOf(e cleanup.Entry) cleanup.Remover {
	r := b.remover(e.Region)
	if e.Account != "" {
		r.Client = b.EC2Of(e.Account, e.Region)
	}
	return r
}

// EC2Of returns the EC2 client of an account; empty is the build's.
func (b *Build) EC2Of(account, region string) *awsclient.EC2 {
	if account != "" {
		return b.others[account].EC2(region)
	}
	return b.Clients.EC2(region)
}

// settles returns a waiter that lasts as long as AWS may not find a new resource.
func (b *Build) settles() poll.Waiter {
	wait := b.wait
	wait.Soon, wait.Timeout = 0, cmp.Or(b.remover("").Settling, cleanup.Settling)
	return wait
}

// instance returns the ledger entry of the build's instance.
func (b *Build) instance() cleanup.Entry {
	return cleanup.Entry{Kind: cleanup.Instance, Region: b.Clients.Region(), ID: b.Report.InstanceID}
}

// seenImage returns the ledger entry of an image that EC2 has returned.
func seenImage(region, id string) cleanup.Entry {
	return cleanup.Entry{Kind: cleanup.Image, Region: region, ID: id, Seen: true}
}

// lostResponses is the number of lost responses to a create request after which
// the build fails.
const lostResponses = 3

// createTimeout limits a create request, which ignores a cancel, while AWS answers.
const createTimeout = time.Minute

// create makes a create request. A cancel does not abort it, as the id of the
// created resource would be lost. It retries transient errors.
func (b *Build) create(ctx context.Context, call func(context.Context) error) error {
	return b.createWith(ctx, b.Patience, func(error, time.Duration) {}, call)
}

// createWith is create with another backoff. It calls again before each pause.
func (b *Build) createWith(ctx context.Context, retry distribute.Backoff, again func(error, time.Duration), call func(context.Context) error) error {
	limit := createTimeout
	if awsclient.WaitsOut(ctx) {
		limit += awsclient.OutageLimit
	}
	return retry.Do(ctx, again, func() error {
		ctx, cancel := clock.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		err := call(ctx)
		if awsclient.IsUnanswered(err) {
			return lostError{err}
		}
		return err
	})
}

// lostError marks a lost response as not retryable, as the request may have
// succeeded.
type lostError struct{ error }

// removeTemporary removes the instance's temporary resources. Resources that it
// cannot remove stay in the ledger, which is printed with the commands.
func (b *Build) removeTemporary(ui packersdk.Ui, entries ...cleanup.Entry) {
	ctx, cancel := cleanup.Context()
	defer cancel()
	for _, entry := range entries {
		err := b.remover(entry.Region).Remove(ctx, entry)
		if unseen := new(cleanup.UnseenError); errors.As(err, &unseen) && entry.ID == "" {
			b.ledger.Strike(entry)
			ui.Sayf("%s did not confirm the creation of %s, and has not listed it for %s. If it appears, remove it:\n  %s",
				entry.Service(), entry.Label(), unseen.For.Round(time.Second), b.Command(entry))
			continue
		}
		if err != nil {
			ui.Errorf("deleting %s %s in %s: %s", entry.Kind, entry.Label(), entry.Region, err)
		}
	}
}

// removeImages removes images concurrently. Images that it cannot remove stay in
// the ledger.
func removeImages(ctx context.Context, state multistep.StateBag, images ...distribute.Image) {
	b, ui := BuildOf(state), UIOf(state)
	var wg sync.WaitGroup
	for _, image := range images {
		wg.Go(func() {
			entry := cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: image.Account}
			if err := b.removerOf(entry).Remove(ctx, entry); err != nil {
				ui.Errorf("removing %s in %s: %s", image.ID, entry.Place(), err)
				return
			}
			ui.Sayf("Removed %s in %s with its snapshots", image.ID, entry.Place())
		})
	}
	wg.Wait()
}

// findImages searches all regions concurrently.
func (b *Build) findImages(ctx context.Context, regions []string, filters map[string]string) (map[string][]ec2types.Image, error) {
	lists, failures := make([][]ec2types.Image, len(regions)), make([]error, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() {
			if lists[i], failures[i] = distribute.Find(ctx, b.Clients.EC2(region), filters); failures[i] != nil {
				failures[i] = fmt.Errorf("%s: %w; check that the region exists and that the account has opted in to it", region, failures[i])
			}
		})
	}
	wg.Wait()
	found := map[string][]ec2types.Image{}
	for i, region := range regions {
		found[region] = lists[i]
	}
	return found, errors.Join(failures...)
}
