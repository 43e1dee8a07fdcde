// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Backoff is how often, and after which pauses, a call is made again that AWS
// may accept later. The SDK repeats such calls by itself, for seconds; this is
// for the minutes after.
type Backoff struct {
	// Tries is how often the call is made at most.
	Tries int
	// Least is the first pause, Most the longest; each is twice the one before,
	// less up to a half by chance, so that many regions do not call at once.
	Least, Most time.Duration
	// Clock is poll.Wall unless set.
	Clock poll.Clock
}

// Patience waits a quarter of an hour in all: a region takes 20 snapshot copies
// at a time (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html),
// and those of others are in the way for as long as they take.
var Patience = Backoff{Tries: 12, Least: 5 * time.Second, Most: 2 * time.Minute}

// Do makes a call until it succeeds, fails for good, or has been made Tries
// times; then it returns the last error. again is told of each error that is
// followed by a pause.
func (b Backoff) Do(ctx context.Context, again func(err error, pause time.Duration), call func() error) error {
	clock := b.Clock
	if clock == nil {
		clock = poll.Wall{}
	}
	pause := b.Least
	for try := 1; ; try++ {
		err := call()
		if err == nil || !ec2api.IsTransient(err) || try >= b.Tries || ctx.Err() != nil {
			return err
		}
		wait := pause - time.Duration(rand.Float64()*float64(pause)/2)
		again(err, wait)
		select {
		case <-ctx.Done():
			return err
		case <-clock.After(wait):
		}
		pause = min(2*pause, b.Most)
	}
}
