// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package poll waits for something remote to happen: at a fixed short interval,
// with one deadline, and with a clock that tests replace.
package poll

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// Clock is the time that waiting uses.
type Clock interface {
	Now() time.Time
	// After returns a channel that receives once d has passed.
	After(d time.Duration) <-chan time.Time
}

// Wall is the real clock.
type Wall struct{}

// Now is time.Now.
func (Wall) Now() time.Time { return time.Now() }

// After is time.After.
func (Wall) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Waiter holds how long and how often to ask.
type Waiter struct {
	// Interval is the pause between two questions.
	Interval time.Duration
	// Timeout is the longest that one wait may take.
	Timeout time.Duration
	// Clock is Wall unless set.
	Clock Clock
}

// TimeoutError is returned when Timeout has passed.
type TimeoutError struct {
	What    string
	Timeout time.Duration
	Last    error // what the last question failed with, if it did
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("waiting for %s: not done after %s (aws_polling sets the limit)", e.What, e.Timeout)
	if e.Last != nil {
		text += fmt.Sprintf("; the last answer was: %s", e.Last)
	}
	return text
}

func (e *TimeoutError) Unwrap() error { return e.Last }

// consistency is how long a new resource may be unknown to EC2, which is
// eventually consistent and says of no bound; minutes have been seen.
const consistency = 2 * time.Minute

// Until asks until done says true. It asks once at once, returns the context's
// error as soon as that is cancelled, and a *TimeoutError at the deadline. A
// throttled answer counts as "not yet", and so does, in the first two minutes,
// that the resource is not there; any other error ends the wait.
func (w Waiter) Until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	clock := w.Clock
	if clock == nil {
		clock = Wall{}
	}
	deadline := clock.Now().Add(w.Timeout)
	visible := clock.Now().Add(consistency)
	pause := w.Interval
	for {
		ok, err := done(ctx)
		missing := ec2api.IsNotFound(err) && clock.Now().Before(visible)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case err != nil && ec2api.IsThrottle(err):
			pause = min(2*pause, max(w.Interval, 30*time.Second))
		case err != nil && !missing:
			return fmt.Errorf("waiting for %s: %w", what, err)
		case ok:
			return nil
		default:
			pause = w.Interval
		}
		if !clock.Now().Add(pause).Before(deadline) {
			return &TimeoutError{What: what, Timeout: w.Timeout, Last: err}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-clock.After(pause):
		}
	}
}
