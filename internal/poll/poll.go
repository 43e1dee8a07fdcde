// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package poll waits for remote operations with few requests and a short delay
// between the end and its detection. It polls at a short interval while the end is
// expected, by a forecast if progress is reported, and otherwise at pauses
// proportional to the elapsed time. Each wait has one deadline, and a clock that
// tests replace.
package poll

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
)

// Clock is the source of time for waits.
type Clock interface {
	Now() time.Time
	// After returns a channel that receives once d has passed.
	After(d time.Duration) <-chan time.Time
}

// Wall is the clock of a build.
type Wall struct{}

// Now is clock.Now.
func (Wall) Now() time.Time { return clock.Now() }

// After is clock.After.
func (Wall) After(d time.Duration) <-chan time.Time { return clock.After(d) }

// Pause waits for d, and returns the context's error if that ends. A nil clock is
// Wall.
func Pause(ctx context.Context, clock Clock, d time.Duration) error {
	if clock == nil {
		clock = Wall{}
	}
	select {
	case <-ctx.Done():
	case <-clock.After(d):
	}
	return ctx.Err()
}

// Waiter configures the interval and the timeout of waits.
type Waiter struct {
	// Interval is the shortest pause between two requests.
	Interval time.Duration
	// Fixed makes all pauses equal to Interval.
	Fixed bool
	// Soon is the pause before the first request of Until, First that of Follow:
	// operations do not end earlier.
	Soon, First time.Duration
	// Timeout is the maximum duration of one wait.
	Timeout time.Duration
	// Hint, if set, is added to a TimeoutError, such as the option that sets Timeout.
	Hint string
	// Peers, if set, are the waits that Follow takes turns with while no progress is
	// reported.
	Peers *Peers
	// Clock is Wall unless set.
	Clock Clock
	// Note, if set, is called after each wait with its duration, the maximum of its
	// overshoot and its number of requests. The operation ended between the last two
	// responses, so the time between them is that maximum; it is 0 after an error.
	Note func(what string, took, overshoot time.Duration, questions int)
}

// TimeoutError is returned when Timeout has passed.
type TimeoutError struct {
	What    string
	Timeout time.Duration
	Hint    string // the Waiter's
	Last    error  // the error of the last request, if any
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("waiting for %s: timeout after %s", e.What, e.Timeout)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	if e.Last != nil {
		text += fmt.Sprintf("; last response: %s", e.Last)
	}
	return text
}

func (e *TimeoutError) Unwrap() error { return e.Last }

// consistency is how long EC2, which is eventually consistent, may not find a new
// resource. AWS documents no limit; minutes have been observed.
const consistency = 2 * time.Minute

// Unknown is the progress of an operation that does not report it.
const Unknown = -1

// Progress is the result of one request of Follow.
type Progress struct {
	Done    bool
	Percent int // 0 to 100, or Unknown
}

// Until polls until done returns true, like Follow. It is for states that change
// within a minute and report no progress.
func (w Waiter) Until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	ask := func(ctx context.Context, _ bool) (Progress, error) {
		ok, err := done(ctx)
		return Progress{Done: ok, Percent: Unknown}, err
	}
	return w.wait(ctx, what, w.Soon, quick, ask, nil, nil)
}

// Question makes one request of Follow. due is true if the operation should have
// ended.
type Question func(ctx context.Context, due bool) (Progress, error)

// Follow polls until the result is Done. It calls seen, which may be nil, with the
// forecast after each result that is not an error. It returns the context's error as soon as that is
// cancelled, and a *TimeoutError at the deadline. It continues after throttling
// and, in the first two minutes, after NotFound; any other error ends the wait. The
// requests wait out an outage of AWS (awsclient.WaitOut), which does not count
// against Timeout.
func (w Waiter) Follow(ctx context.Context, what string, ask Question, seen func(Forecast, time.Duration)) error {
	peer := w.Peers.join()
	err := w.wait(ctx, what, w.First, blind, ask, seen, peer)
	peer.leave(err == nil)
	return err
}

func (w Waiter) wait(ctx context.Context, what string, pause, part time.Duration, ask Question, seen func(Forecast, time.Duration), peer *member) error {
	clock := w.Clock
	if clock == nil {
		clock = Wall{}
	}
	ctx = awsclient.WaitOut(ctx)
	begun, questions := clock.Now(), 0
	var pending, overshoot time.Duration // pending is the time of the last response before the end
	if w.Note != nil {
		defer func() { w.Note(what, clock.Now().Sub(begun), overshoot, questions) }()
	}
	var forecast Forecast
	var last error
	slower := 1 // factor of pauses while AWS throttles
	for {
		if pause > 0 {
			left := w.Timeout - (clock.Now().Sub(begun) - awsclient.Paused(ctx))
			if left <= 0 {
				return &TimeoutError{What: what, Timeout: w.Timeout, Hint: w.Hint, Last: last}
			}
			rest := Pause
			if peer != nil && !forecast.Reported() {
				rest = peer.rest
			}
			if err := rest(ctx, clock, min(pause, left)); err != nil { // the last request is at the deadline
				return fmt.Errorf("waiting for %s: %w", what, err)
			}
		}
		questions++
		var now Progress
		_, latest, known := forecast.Window()
		now, last = ask(ctx, known && clock.Now().Sub(begun) >= latest)
		elapsed := clock.Now().Sub(begun)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case last != nil && awsclient.IsThrottle(last):
			slower = min(2*slower, mostSlower)
		case last != nil && (!awsclient.IsNotFound(last) || elapsed-awsclient.Paused(ctx) >= consistency):
			return fmt.Errorf("waiting for %s: %w", what, last)
		case last != nil: // not found yet
			pending = elapsed
		case now.Done:
			overshoot = elapsed - pending
			return nil
		default:
			slower, pending = 1, elapsed
			if now.Percent != Unknown {
				forecast.Saw(elapsed, now.Percent)
				peer.tell()
			}
			if seen != nil {
				seen(forecast, elapsed)
			}
		}
		if pause = w.pause(&forecast, elapsed, part); peer != nil && !forecast.Reported() && !w.Fixed {
			pause = peer.pause(w.Interval, elapsed)
		}
		if slower > 1 {
			pause = max(pause, time.Duration(slower)*w.Interval)
		}
	}
}
