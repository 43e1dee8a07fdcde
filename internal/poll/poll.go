// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package poll waits for something remote to happen, with few questions and
// with little lost between the event and the question that notices it: at a
// short interval while it may come any moment, by a forecast where its progress
// is told, and else at pauses in proportion to the time that has passed. There
// is one deadline, and a clock that tests replace.
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
	// Interval is the shortest pause between two questions.
	Interval time.Duration
	// Fixed makes each pause the Interval.
	Fixed bool
	// Soon is the pause before the first question of Until, First that of
	// Follow: earlier than that nothing ends.
	Soon, First time.Duration
	// Timeout is the longest that one wait may take.
	Timeout time.Duration
	// Clock is Wall unless set.
	Clock Clock
	// Note is told of each wait that has ended, how long it took and how many
	// questions; nil for nobody.
	Note func(what string, took time.Duration, questions int)
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

// Unknown is the progress of what does not tell it.
const Unknown = -1

// Progress is what a question of Follow was answered with.
type Progress struct {
	Done    bool
	Percent int // 0 to 100, or Unknown
}

// Until asks until done says true, as Follow does: for states that change
// within a minute, and tell no progress.
func (w Waiter) Until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	ask := func(ctx context.Context, _ bool) (Progress, error) {
		ok, err := done(ctx)
		return Progress{Done: ok, Percent: Unknown}, err
	}
	return w.wait(ctx, what, w.Soon, quick, ask, nil)
}

// Question is what Follow asks. due says that it should be over by now.
type Question func(ctx context.Context, due bool) (Progress, error)

// Follow asks until the answer is Done; seen, which may be nil, is told of each
// answer with the forecast that it leads to. It returns the context's error
// as soon as that is cancelled, and a *TimeoutError at the deadline. A throttled
// answer counts as "not yet", and so does, in the first two minutes, that the
// resource is not there; any other error ends the wait.
func (w Waiter) Follow(ctx context.Context, what string, ask Question, seen func(Forecast, time.Duration)) error {
	return w.wait(ctx, what, w.First, blind, ask, seen)
}

func (w Waiter) wait(ctx context.Context, what string, pause, part time.Duration, ask Question, seen func(Forecast, time.Duration)) error {
	clock := w.Clock
	if clock == nil {
		clock = Wall{}
	}
	begun, questions := clock.Now(), 0
	if w.Note != nil {
		defer func() { w.Note(what, clock.Now().Sub(begun), questions) }()
	}
	var forecast Forecast
	var last error
	slower := 1 // how much, while AWS throttles
	for {
		if pause > 0 {
			left := w.Timeout - clock.Now().Sub(begun)
			if left <= 0 {
				return &TimeoutError{What: what, Timeout: w.Timeout, Last: last}
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
			case <-clock.After(min(pause, left)): // the last question is at the deadline
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
		case last != nil && ec2api.IsThrottle(last):
			slower = min(2*slower, mostSlower)
		case last != nil && (!ec2api.IsNotFound(last) || elapsed >= consistency):
			return fmt.Errorf("waiting for %s: %w", what, last)
		case last != nil:
		case now.Done:
			return nil
		default:
			slower = 1
			if now.Percent != Unknown {
				forecast.Saw(elapsed, now.Percent)
				if seen != nil {
					seen(forecast, elapsed)
				}
			}
		}
		if pause = w.pause(&forecast, elapsed, part); slower > 1 {
			pause = max(pause, time.Duration(slower)*w.Interval)
		}
	}
}
