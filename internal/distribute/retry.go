// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Backoff configures the retries of requests that AWS may accept later. The SDK
// itself retries for seconds; Backoff retries for minutes.
type Backoff struct {
	// Tries is the maximum number of requests.
	Tries int
	// Least is the first pause, Most the longest. Pauses double, minus a random
	// part of up to a half, so that regions do not retry at the same time.
	Least, Most time.Duration
	// NameFreed also retries while EC2 reports the name as in use. Set it if the
	// build has deregistered an image of that name: EC2 frees a name minutes later
	// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
	NameFreed bool
	// Shared also retries, fewer times, while EC2 does not find an image, or does not let
	// the caller read it. Set it if another account has just shared the image: EC2 is
	// eventually consistent.
	Shared bool
	// Clock is poll.Wall unless set.
	Clock poll.Clock
}

// Patience waits up to 15 minutes in total: a region allows 20 concurrent snapshot copies
// (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html),
// including those of other builds.
var Patience = Backoff{Tries: 12, Least: 5 * time.Second, Most: 2 * time.Minute}

// Freed returns the backoff of a request for a name that the build may have freed.
func (b Backoff) Freed(freed bool) Backoff {
	b.NameFreed = freed
	return b
}

// mostUnshared limits the requests that fail because an image is not shared: their
// pauses add up to more than two minutes.
const mostUnshared = 6

// Lent returns the backoff of a request for an image that another account may just have
// shared.
func (b Backoff) Lent(lent bool) Backoff {
	b.Shared = lent
	return b
}

// after returns the pause after a number of tries.
func (b Backoff) after(tries int) time.Duration {
	return min(b.Least<<min(tries-1, 10), b.Most)
}

// retries reports whether the request may succeed later.
func (b Backoff) retries(err error, try int) bool {
	unshared := awsclient.IsOfImage(err) && !awsclient.IsNameInUse(err)
	return awsclient.IsTransient(err) || b.Shared && unshared && try < mostUnshared || b.NameFreed && awsclient.IsNameInUse(err)
}

// Do makes a request until it succeeds, fails permanently, or has been made Tries
// times; then it returns the last error. It calls again with each error that a
// pause follows.
func (b Backoff) Do(ctx context.Context, again func(err error, pause time.Duration), call func() error) error {
	pause := b.Least
	for try := 1; ; try++ {
		err := call()
		if err == nil || !b.retries(err, try) || try >= b.Tries || ctx.Err() != nil {
			return err
		}
		wait := pause - time.Duration(rand.Float64()*float64(pause)/2) //nolint:gosec // a pause needs no secrecy
		again(err, wait)
		if poll.Pause(ctx, b.Clock, wait) != nil {
			return err
		}
		pause = min(2*pause, b.Most)
	}
}
