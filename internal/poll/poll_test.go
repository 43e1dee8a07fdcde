// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

// fakeClock advances only during waits, and records the pauses.
type fakeClock struct {
	now    time.Time
	pauses []time.Duration
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.now = c.now.Add(d)
	c.pauses = append(c.pauses, d)
	ready := make(chan time.Time, 1)
	ready <- c.now
	return ready
}

// answers are the responses of the remote side. The last one repeats.
type answers []struct {
	done bool
	err  error
}

func (a answers) play(asked *int) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) {
		i := min(*asked, len(a)-1)
		*asked++
		return a[i].done, a[i].err
	}
}

func code(c string) error { return &smithy.GenericAPIError{Code: c} }

func TestUntil(t *testing.T) {
	refused := errors.New("refused")
	for _, test := range []struct {
		name    string
		answers answers
		asked   int           // number of requests
		waited  time.Duration // total
		want    error
	}{
		{"done immediately: no pause", answers{{done: true}}, 1, 0, nil},
		{"done at the third request: two pauses", answers{{}, {}, {done: true}}, 3, 4 * time.Second, nil},
		{"not found just after creation means not yet", answers{{err: code("InvalidAMIID.NotFound")}, {done: true}}, 2, 2 * time.Second, nil},
		{"throttled: one longer pause, then the usual interval", answers{{err: code("RequestLimitExceeded")}, {}, {done: true}}, 3, 6 * time.Second, nil},
		{"an error ends the wait", answers{{}, {err: refused}}, 2, 2 * time.Second, refused},
		{"the last request is sent at the deadline", answers{{}}, 11, 20 * time.Second, new(TimeoutError)},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := &fakeClock{now: time.Unix(0, 0)}
			asked := 0
			err := Waiter{Interval: 2 * time.Second, Timeout: 20 * time.Second, Clock: clock}.
				Until(t.Context(), "it", test.answers.play(&asked))
			var timeout *TimeoutError
			switch {
			case errors.As(test.want, &timeout):
				if !errors.As(err, &timeout) {
					t.Errorf("got %v, want a TimeoutError", err)
				}
			case !errors.Is(err, test.want):
				t.Errorf("got %v, want %v", err, test.want)
			}
			if asked != test.asked {
				t.Errorf("got %d requests, want %d", asked, test.asked)
			}
			if waited := clock.now.Sub(time.Unix(0, 0)); waited != test.waited {
				t.Errorf("got a wait of %s, want %s", waited, test.waited)
			}
		})
	}
}

func TestTimeoutError(t *testing.T) {
	for _, test := range []struct{ hint, want string }{
		{"", "waiting for it: timeout after 1m0s; last response: no"},
		{"option sets the timeout", "waiting for it: timeout after 1m0s; option sets the timeout; last response: no"},
	} {
		err := Waiter{Interval: time.Minute, Timeout: time.Minute, Hint: test.hint, Clock: &fakeClock{}}.
			Until(t.Context(), "it", func(context.Context) (bool, error) {
				return false, &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "no"}
			})
		if want := strings.Replace(test.want, "no", "api error RequestLimitExceeded: no", 1); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestUntilStopsForDeletedResource(t *testing.T) {
	gone := code("InvalidInstanceID.NotFound")
	clock := &fakeClock{now: time.Unix(0, 0)}
	asked := 0
	err := Waiter{Interval: 50 * time.Second, Timeout: 2 * time.Hour, Clock: clock}.
		Until(t.Context(), "it", answers{{}, {err: gone}}.play(&asked))
	if !errors.Is(err, gone) || asked != 4 {
		t.Errorf("got %v after %d requests, want NotFound after 4: the resource was deleted", err, asked)
	}
}

func TestUntilStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	err := Waiter{Interval: time.Hour, Timeout: 2 * time.Hour}.Until(ctx, "it", func(context.Context) (bool, error) {
		asked++
		cancel()
		return false, nil
	})
	if !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("got %v after %d requests, want context.Canceled after 1", err, asked)
	}
}

// TestNote: the overshoot counts from the last response that said pending, not from
// throttling; an operation that failed has none. A tally keeps the longest wait.
func TestNote(t *testing.T) {
	var tally Tally
	for _, test := range []struct {
		name    string
		answers answers
		want    time.Duration
	}{
		{"done at the first request", answers{{done: true}}, 0},
		{"not found is not yet there", answers{{err: code("InvalidAMIID.NotFound")}, {done: true}}, 2 * time.Second},
		{"throttling hides the end", answers{{}, {}, {err: code("RequestLimitExceeded")}, {done: true}}, 6 * time.Second},
		{"failed", answers{{}, {err: errors.New("refused")}}, 0},
	} {
		asked := 0
		clock := &fakeClock{now: time.Unix(0, 0)}
		note := func(what string, took, overshoot time.Duration, questions int) {
			if overshoot != test.want || took != clock.now.Sub(time.Unix(0, 0)) || questions != asked {
				t.Errorf("%s: noted %s, an overshoot of %s and %d requests; want %s, %s, %d", test.name, took, overshoot, questions, clock.now.Sub(time.Unix(0, 0)), test.want, asked)
			}
			tally.Note(what, took, overshoot, questions)
		}
		_ = Waiter{Interval: 2 * time.Second, Timeout: 20 * time.Second, Clock: clock, Note: note}.
			Until(t.Context(), "it", test.answers.play(&asked))
	}
	if longest, asked := tally.Take(); longest != (Waited{8 * time.Second, 6 * time.Second}) || asked != 9 {
		t.Errorf("got %+v and %d requests", longest, asked)
	}
	if longest, asked := tally.Take(); longest != (Waited{}) || asked != 0 {
		t.Errorf("got %+v and %d requests after Take", longest, asked)
	}
}
