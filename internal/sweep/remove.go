// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Outcome is what became of a resource of the plan.
type Outcome struct {
	Resource
	// Kept is why it was let be: since the plan it has become what is not to be
	// swept. It is empty where it was removed, or Err says why not.
	Kept string
	Err  error
}

// Sweeper removes what Find has found.
type Sweeper struct {
	Choice Choice
	Client func(region string) API
	// IAM is asked where the plan has what is Global.
	IAM IAM
	// Gone is how to wait for instances to terminate.
	Gone poll.Waiter
	// Free is how to wait for what still holds a resource, such as the
	// interface of a terminated instance its security group.
	Free poll.Waiter
	// Now is time.Now.
	Now func() time.Time
	// Say hears of each outcome as it comes, one at a time.
	Say func(Outcome)

	mu sync.Mutex
}

// Remove removes the plan's resources in their order, all regions at once and
// IAM's at the end. It looks at each again right before: what is gone counts as removed, and what is
// no dead build's any more is kept. It returns the outcomes, region by region.
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

// global looks at a resource of IAM again and removes it.
func (s *Sweeper) global(ctx context.Context, r Resource) Outcome {
	now, there, err := iamAgain(ctx, s.IAM, r)
	switch {
	case err != nil:
		return Outcome{Resource: r, Err: fmt.Errorf("looking at it again: %w", err)}
	case !there:
		return Outcome{Resource: r}
	case !s.Choice.takes(now, s.Now()):
		return Outcome{Resource: now, Kept: "its tags have changed"}
	}
	return Outcome{Resource: r, Err: removeIAM(ctx, s.IAM, r)}
}

// region removes kind after kind: first all instances together, since each
// takes a minute to be gone.
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
			if o.Kind == ledger.Instance && o.Err == nil && o.Kept == "" {
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

// begin looks at a resource again and removes it, an instance but for its end.
func (s *Sweeper) begin(ctx context.Context, api API, r Resource) Outcome {
	now, there, err := again(ctx, api, r)
	switch {
	case err != nil:
		return Outcome{Resource: r, Err: fmt.Errorf("looking at it again: %w", err)}
	case !there:
		return Outcome{Resource: r}
	case !s.Choice.takes(now, s.Now()):
		return Outcome{Resource: now, Kept: "its tags have changed"}
	}
	return Outcome{Resource: r, Err: s.whenFree(ctx, r, func() error { return remove(ctx, api, r) })}
}

// whenFree tries again as long as something else holds the resource.
func (s *Sweeper) whenFree(ctx context.Context, r Resource, try func() error) error {
	var last error
	err := s.Free.Until(ctx, r.ID+" to be free", func(context.Context) (bool, error) {
		last = try()
		switch {
		case last == nil || ec2api.IsNotFound(last):
			last = nil
			return true, nil
		case isHeld(last):
			return false, nil
		}
		return false, last
	})
	var timeout *poll.TimeoutError
	if last != nil && (errors.As(err, &timeout) || ctx.Err() == nil) {
		return last
	}
	return err
}

// isHeld says that another resource uses this one, maybe not for long.
func isHeld(err error) bool {
	switch ec2api.Code(err) {
	case "DependencyViolation", "InvalidGroup.InUse", "InvalidSnapshot.InUse", "VolumeInUse":
		return true
	}
	return false
}

// awaitGone waits until an instance is no more among those that are there.
func (s *Sweeper) awaitGone(ctx context.Context, api API, r Resource) error {
	return s.Gone.Until(ctx, r.ID+" to be gone", func(ctx context.Context) (bool, error) {
		out, err := api.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{r.ID}})
		if ec2api.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		for _, reservation := range out.Reservations {
			for _, i := range reservation.Instances {
				if i.State != nil && i.State.Name != "terminated" {
					return false, nil
				}
			}
		}
		return true, nil
	})
}

func remove(ctx context.Context, api API, r Resource) error {
	var err error
	switch r.Kind {
	case ledger.Instance:
		_, err = api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{r.ID}})
	case ledger.Image:
		_, err = api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &r.ID})
	case ledger.Snapshot:
		_, err = api.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &r.ID})
	case ledger.Volume:
		_, err = api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &r.ID})
	case ledger.SecurityGroup:
		_, err = api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &r.ID})
	case ledger.KeyPair:
		_, err = api.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: &r.ID})
	}
	return err
}
