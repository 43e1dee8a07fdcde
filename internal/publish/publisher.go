// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// Clients creates the clients of a region; *awsclient.Clients implements it.
type Clients interface {
	EC2(region string) *awsclient.EC2
	S3(region, bucket string) *s3.Client
	SSM(region string) *ssm.Client
	CloudFormation(region string) *cloudformation.Client
	ReportOutages(say func(string)) *awsclient.Clients
}

// Publisher carries out plans. Clients and Say must be set.
type Publisher struct {
	Clients Clients
	// Say prints progress. It is never called concurrently.
	Say func(string)
	// Interval is the pause between two polls. Default: 5 seconds.
	Interval time.Duration
	// Patience is how long a call that fails is retried. Default: 2 minutes.
	Patience time.Duration
	// AWS is the start of AWS CLI commands in messages. Default: "aws".
	AWS string
	// Clock defaults to the system clock.
	Clock poll.Clock
}

// Defaults of Publisher.
const (
	defaultInterval = 5 * time.Second
	defaultPatience = 2 * time.Minute
)

func (p *Publisher) waiter(timeout time.Duration) poll.Waiter {
	w := poll.Waiter{Interval: p.Interval, Timeout: timeout, Clock: p.Clock}
	if w.Interval == 0 {
		w.Interval = defaultInterval
	}
	return w
}

func (p *Publisher) patience() time.Duration {
	if p.Patience == 0 {
		return defaultPatience
	}
	return p.Patience
}

// run is one publication in progress.
type run struct {
	*Publisher
	plan     *Plan
	seen     []Latest   // of each place
	uploaded []identity // of the template in each place
	number   int        // of this publication
	record   Record     // the record of this publication
	last     Record     // the record of the publication before it, or of itself if it is resumed
	set      *stackset.Set
	mu       sync.Mutex
}

// Publish carries out a plan. A second run with the same plan does what is
// missing. An error before the flip leaves every `latest` unchanged. All requests
// wait out an outage of AWS.
func (p *Publisher) Publish(ctx context.Context, plan *Plan) error {
	ctx = awsclient.WaitOut(ctx)
	r := &run{Publisher: p, plan: plan}
	p.Clients.ReportOutages(func(line string) { r.Sayf("%s", line) })
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"checking the images", r.checkImages},
		{"reading the published state", r.look},
		{"uploading", r.upload},
		{"verifying", r.verify},
		{"updating latest", r.flip},
		{"removing old versions", r.prune},
		{"writing the record", r.write},
		{"setting the parameters", r.announce},
		{"rolling out the stack set", r.rollOut},
		{"marking the publication as complete", r.seal},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	r.reportFormer(ctx)
	for i, at := range plan.Places {
		p.Say(at.LatestURL + r.seen[i].suffix())
	}
	return nil
}

// Sayf prints a line.
func (r *run) Sayf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Say(fmt.Sprintf(format, args...))
}

// CLI returns the start of AWS CLI commands in messages.
func (r *run) CLI() string { return cmp.Or(r.AWS, "aws") }

// everywhere calls do for all places at once, and returns all errors, each with its
// region.
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

// Until calls done until it returns true. It returns the error of done, or a
// *poll.TimeoutError.
func (r *run) Until(ctx context.Context, timeout time.Duration, what string, done func(context.Context) (bool, error)) error {
	var last error
	err := r.waiter(timeout).Until(ctx, what, func(ctx context.Context) (ok bool, err error) {
		ok, last = done(ctx)
		return ok, last
	})
	var late *poll.TimeoutError
	if err != nil && last != nil && !errors.As(err, &late) {
		return last
	}
	return err
}

// Again retries a call for up to Patience, while its error is transient. The SDK
// has retried a few times before.
func (r *run) Again(ctx context.Context, what string, try func() error) error {
	var last error
	err := r.Until(ctx, r.patience(), what, func(context.Context) (bool, error) {
		last = try()
		if mayPass(last) && ctx.Err() == nil {
			if awsclient.IsThrottle(last) {
				return false, last // poll waits longer each time
			}
			r.Sayf("%s: retrying: %s", what, awsclient.Plain(last))
			return false, nil
		}
		return last == nil, last
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// mayPass reports whether the same call may succeed later.
func mayPass(err error) bool {
	switch {
	case err == nil, errors.Is(err, ErrSuperseded), awsclient.GaveUp(err):
		return false
	case isConflict(err), awsclient.Code(err) == "TooManyUpdates": // concurrent writes of one object or parameter
		return true
	}
	return awsclient.IsTransient(err) || awsclient.IsUnanswered(err)
}
