// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Clients makes the clients of a region; *ec2api.Clients does.
type Clients interface {
	S3(region, bucket string) *s3.Client
	SSM(region string) *ssm.Client
	CloudFormation(region string) *cloudformation.Client
}

// Publisher carries plans out. Clients and Say must be set.
type Publisher struct {
	Clients Clients
	// Say tells a person about progress; it is called by one at a time.
	Say func(string)
	// Interval is the pause between two questions for what takes its time.
	// Default: 5 seconds.
	Interval time.Duration
	// Patience is how long a region that fails after the flip is tried again.
	// Default: 2 minutes.
	Patience time.Duration
	// Clock is the system's unless set.
	Clock poll.Clock
}

func (p *Publisher) waiter(timeout time.Duration) poll.Waiter {
	w := poll.Waiter{Interval: p.Interval, Timeout: timeout, Clock: p.Clock}
	if w.Interval == 0 {
		w.Interval = 5 * time.Second
	}
	return w
}

func (p *Publisher) patience() time.Duration {
	if p.Patience == 0 {
		return 2 * time.Minute
	}
	return p.Patience
}

// run is one publication under way.
type run struct {
	*Publisher
	plan   *Plan
	seen   []Latest // of each place
	number int      // of this publication
	record Record   // what this publication will be known by
	set    *stackSetState
	mu     sync.Mutex
}

// Publish carries a plan out. Run again with the same plan it does what is
// missing. Before the flip an error leaves every `latest` as it was.
func (p *Publisher) Publish(ctx context.Context, plan *Plan) error {
	r := &run{Publisher: p, plan: plan}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"looking at what is published", r.look},
		{"uploading", r.upload},
		{"verifying", r.verify},
		{"changing latest", r.flip},
		{"removing old versions", r.prune},
		{"recording", r.write},
		{"announcing", r.announce},
		{"rolling out", r.rollOut},
		{"sealing", r.seal},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	for _, at := range plan.Places {
		p.Say(at.LatestURL)
	}
	return nil
}

func (r *run) sayf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Say(fmt.Sprintf(format, args...))
}

// everywhere does the same in all places at once: how long it takes does not
// depend on how many they are. All errors are reported, each with its region.
func (r *run) everywhere(do func(i int, at Place) error) error {
	errs := make([]error, len(r.plan.Places))
	var wg sync.WaitGroup
	for i, at := range r.plan.Places {
		wg.Go(func() {
			if err := do(i, at); err != nil {
				errs[i] = fmt.Errorf("%s: %w", at.Region, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// until asks until done says true. An error is that of done, or the wait's
// *poll.TimeoutError.
func (p *Publisher) until(ctx context.Context, timeout time.Duration, what string, done func(context.Context) (bool, error)) error {
	var last error
	err := p.waiter(timeout).Until(ctx, what, func(ctx context.Context) (ok bool, err error) {
		ok, last = done(ctx)
		return ok, last
	})
	var late *poll.TimeoutError
	if err != nil && last != nil && !errors.As(err, &late) {
		return last
	}
	return err
}

// again tries something for as long as Patience lasts, while its error is one
// that may pass. The SDK has tried a few times before.
func (r *run) again(ctx context.Context, what string, try func() error) error {
	var last error
	err := r.until(ctx, r.patience(), what, func(context.Context) (bool, error) {
		last = try()
		if mayPass(last) && ctx.Err() == nil {
			if ec2api.IsThrottle(last) {
				return false, last // poll waits longer each time
			}
			r.sayf("%s: trying again: %s", what, ec2api.Plain(last))
			return false, nil
		}
		return last == nil, last
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// mayPass says that the same may succeed later.
func mayPass(err error) bool {
	switch {
	case err == nil, errors.Is(err, ErrSuperseded):
		return false
	case ec2api.Code(err) == "TooManyUpdates": // of one parameter at a time
		return true
	}
	return ec2api.IsTransient(err) || ec2api.IsUnanswered(err)
}
