// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Outcome is the result for a resource of the plan.
type Outcome struct {
	Resource
	// Kept is why the resource was kept: it changed after the plan. It is empty if
	// the resource was removed, or if Err is set.
	Kept string
	Err  error
}

// Sweeper removes the resources that Find has found.
type Sweeper struct {
	Choice Choice
	Client func(region string) API
	// IAM is used if the plan has Global resources.
	IAM SweepIAM
	// Gone configures the wait for instances to terminate.
	Gone poll.Waiter
	// Free configures the wait for a resource that is still in use, such as a
	// security group by the network interface of a terminated instance.
	Free poll.Waiter
	// Now is time.Now.
	Now func() time.Time
	// Say is called for each outcome, never concurrently.
	Say func(Outcome)

	mu sync.Mutex
}

// Remove removes the plan's resources in order, all regions concurrently and IAM
// last. It checks each resource again first: one that no longer exists counts as
// removed, and one that no longer belongs to a dead build is kept. It returns the
// outcomes by region.
func (s *Sweeper) Remove(ctx context.Context, plan []Resource) []Outcome {
	byRegion := map[string][]Resource{}
	var regions []string
	for _, r := range plan {
		if r.Region == Global {
			continue
		}
		if byRegion[r.Region] == nil {
			regions = append(regions, r.Region)
		}
		byRegion[r.Region] = append(byRegion[r.Region], r)
	}
	outcomes := make([][]Outcome, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() { outcomes[i] = s.region(ctx, region, byRegion[region]) })
	}
	wg.Wait()
	var all []Outcome
	for _, o := range outcomes {
		all = append(all, o...)
	}
	for _, r := range plan {
		if r.Region == Global {
			o := s.global(ctx, r)
			s.Say(o)
			all = append(all, o)
		}
	}
	return all
}

// global checks an IAM resource again and removes it.
func (s *Sweeper) global(ctx context.Context, r Resource) Outcome {
	now, there, err := iamAgain(ctx, s.IAM, r)
	switch {
	case err != nil:
		return Outcome{Resource: r, Err: fmt.Errorf("checking it again: %w", err)}
	case !there:
		return Outcome{Resource: r}
	case !s.Choice.takes(now, s.Now()):
		return Outcome{Resource: now, Kept: "its tags have changed"}
	}
	return Outcome{Resource: r, Err: s.remover(nil).Remove(ctx, r.entry())}
}

// region removes resources by kind: first all instances together, as each takes a
// minute to terminate.
func (s *Sweeper) region(ctx context.Context, region string, plan []Resource) []Outcome {
	api := s.Client(region)
	var outcomes []Outcome
	for _, f := range finders {
		var begun []Outcome
		for _, r := range plan {
			if r.Kind == f.kind {
				begun = append(begun, s.begin(ctx, api, r))
			}
		}
		for i := range begun {
			o := &begun[i]
			if o.Kind == Instance && o.Err == nil && o.Kept == "" {
				o.Err = s.awaitGone(ctx, api, o.Resource)
			}
			s.mu.Lock()
			s.Say(*o)
			s.mu.Unlock()
		}
		outcomes = append(outcomes, begun...)
	}
	return outcomes
}

// begin checks a resource again and removes it. It does not wait for the
// termination of an instance.
func (s *Sweeper) begin(ctx context.Context, api API, r Resource) Outcome {
	now, there, err := again(ctx, api, r)
	switch {
	case err != nil:
		return Outcome{Resource: r, Err: fmt.Errorf("checking it again: %w", err)}
	case !there:
		return Outcome{Resource: r}
	case !s.Choice.takes(now, s.Now()):
		return Outcome{Resource: now, Kept: "its tags have changed"}
	}
	remover := s.remover(api)
	switch entry := r.entry(); r.Kind {
	case Instance:
		err = remover.Begin(ctx, entry)
	case Image:
		if now.State != string(types.ImageStatePending) {
			err = remover.Deregister(ctx, entry) // the plan contains its snapshots
			break
		}
		remover.Ledger.Add(Entry{Kind: Image, Region: entry.Region, ID: entry.ID}) // its snapshots may be listed later
		err = remover.Remove(ctx, entry)
	default:
		err = remover.Remove(ctx, entry)
	}
	return Outcome{Resource: r, Err: err}
}

func (s *Sweeper) remover(api API) Remover {
	return Remover{Client: api, IAM: s.IAM, Ledger: new(Ledger), Interval: s.Free.Interval, Patience: s.Free.Timeout, Clock: s.Free.Clock}
}

// awaitGone waits until an instance has terminated.
func (s *Sweeper) awaitGone(ctx context.Context, api API, r Resource) error {
	ctx, cancel := clock.WithTimeout(ctx, s.Gone.Timeout)
	defer cancel()
	remover := s.remover(api)
	remover.Interval = s.Gone.Interval
	return remover.Await(ctx, r.entry())
}
