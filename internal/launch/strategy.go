// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Market is the purchase option of an instance.
type Market string

// The markets, by their names in the configuration.
const (
	Reservation Market = "capacity-reservation" // billed already
	OnDemand    Market = "on-demand"
	Spot        Market = "spot" // cheaper; EC2 may interrupt it
	// CapacityBlock is a capacity block for ML, which is paid in advance.
	CapacityBlock Market = "capacity-block"
)

// Place is where an instance may run. With the zero value, EC2 chooses.
type Place struct {
	Zone   string // also set for a subnet
	Subnet string
}

func (p Place) String() string {
	switch {
	case p.Subnet != "" && p.Zone != "":
		return p.Zone + " (" + p.Subnet + ")"
	case p.Subnet != "":
		return p.Subnet
	case p.Zone != "":
		return p.Zone
	}
	return "a zone chosen by EC2"
}

// Attempt is one launch attempt.
type Attempt struct {
	Type   string
	Market Market
	Place  Place
}

func (r Attempt) String() string { return fmt.Sprintf("%s, %s, %s", r.Type, r.Market, r.Place) }

// Attempts returns all combinations, the type outermost, the place innermost.
func Attempts(types []string, markets []Market, places []Place) []Attempt {
	var attempts []Attempt
	for _, t := range types {
		for _, m := range markets {
			for _, p := range places {
				attempts = append(attempts, Attempt{t, m, p})
			}
		}
	}
	return attempts
}

// Patience configures the pauses between attempts.
type Patience struct {
	// Tries is the number of attempts of one attempt while EC2 throttles.
	Tries int
	// Throttle is the first pause of a throttled attempt; later pauses double.
	Throttle time.Duration
	// Round is the pause before another round of attempts.
	Round time.Duration
	// Clock is poll.Wall unless set.
	Clock poll.Clock
}

// Default waits one minute in total for a throttled attempt. EC2 documents no time
// after which capacity returns, only to "wait a few minutes"
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html).
var Default = Patience{Tries: 6, Throttle: 2 * time.Second, Round: time.Minute}

// Strategy is a series of launch attempts and its timeout.
type Strategy struct {
	Attempts []Attempt
	// Together, if set, reports whether one request of a fleet makes two consecutive
	// attempts, and Fleet makes it.
	Together func(a, b Attempt) bool
	Fleet    func(context.Context, []Attempt) (FleetResponse, error)
	// Timeout is how long the attempts are retried; 0 means one round.
	Timeout  time.Duration
	Patience Patience
	// Admit, if set, is called before each attempt. If it returns a refusal, the
	// attempt is not made.
	Admit func(context.Context, Attempt) *Refusal
	// BeforeRetry, if set, is called before another round of attempts.
	BeforeRetry func()
	// Say prints one line for each refusal that differs from the attempt's last one,
	// and for the first pause of each kind.
	Say func(line string)
}

// Run calls try for each attempt in order, and Fleet for those of a fleet, until an
// instance runs, and returns its attempt. It returns a *RefusedError if all are refused,
// the context's error if that is cancelled, and otherwise the error that ended the
// launch.
func (l Strategy) Run(ctx context.Context, try func(context.Context, Attempt) error) (Attempt, error) {
	if l.Patience.Clock == nil {
		l.Patience.Clock = poll.Wall{}
	}
	clock := l.Patience.Clock
	begun := clock.Now()
	requests := l.Requests()
	known := &refusals{say: l.Say, last: map[Attempt]*Refusal{}}
	for round := 1; ; round++ {
		known.regional = map[Attempt]*Refusal{}
		for _, attempts := range requests {
			var attempt Attempt
			var launched bool
			var err error
			if len(attempts) > 1 {
				attempt, launched, err = l.fleet(ctx, attempts, known)
			} else {
				launched, err = l.one(ctx, attempts[0], known, try)
				attempt = attempts[0]
			}
			if launched || err != nil {
				return attempt, err
			}
		}
		worth := known.worthRetrying()
		waited := clock.Now().Sub(begun)
		if worth == 0 || waited >= l.Timeout {
			return Attempt{}, &RefusedError{Refusals: known.of(l.Attempts), Rounds: round, Waited: waited, Timeout: l.Timeout}
		}
		next := min(l.Patience.Round, l.Timeout-waited)
		if round == 1 {
			l.Say(fmt.Sprintf("All %d launch attempts were refused; retrying %d of them every %s for up to %s (capacity_timeout)",
				len(l.Attempts), worth, l.Patience.Round, l.Timeout))
		}
		if err := poll.Pause(ctx, clock, next); err != nil {
			return Attempt{}, err
		}
		if l.BeforeRetry != nil {
			l.BeforeRetry()
		}
	}
}

// Requests returns the attempts by request: several for a fleet, otherwise one.
func (l Strategy) Requests() (requests [][]Attempt) {
	for _, attempt := range l.Attempts {
		if n := len(requests); n > 0 && l.Together != nil && l.Together(requests[n-1][0], attempt) {
			requests[n-1] = append(requests[n-1], attempt)
			continue
		}
		requests = append(requests, []Attempt{attempt})
	}
	return requests
}

// one makes an attempt unless it is refused already. It reports whether the instance
// runs.
func (l Strategy) one(ctx context.Context, attempt Attempt, known *refusals, try func(context.Context, Attempt) error) (launched bool, err error) {
	if !known.open(attempt) {
		return false, nil
	}
	if admitted, err := l.admit(ctx, attempt, known); err != nil || !admitted {
		return false, err
	}
	err = l.throttled(ctx, attempt.String(), func() error { return try(ctx, attempt) })
	if refusal := refusalOf(attempt, err); refusal != nil {
		known.add(refusal)
		return false, nil
	}
	return err == nil, err
}

// admit reports whether to make an attempt.
func (l Strategy) admit(ctx context.Context, attempt Attempt, known *refusals) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if l.Admit == nil {
		return true, nil
	}
	refusal := l.Admit(ctx, attempt)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if refusal == nil {
		return true, nil
	}
	refusal.Attempt = attempt
	known.add(refusal)
	return false, nil
}

// throttled makes a request, and retries it while EC2 throttles. Its error names the
// request, unless it is a refusal.
func (l Strategy) throttled(ctx context.Context, what string, request func() error) error {
	wait := l.Patience.Throttle
	for n := 1; ; n++ {
		err := request()
		if err == nil || IsRefusal(err) {
			return err
		}
		if !awsclient.IsThrottle(err) || n >= l.Patience.Tries {
			return fmt.Errorf("%s: %w", what, err)
		}
		l.Say(fmt.Sprintf("EC2 throttles requests (%s); retrying %s in %s", awsclient.Code(err), what, wait))
		if err := poll.Pause(ctx, l.Patience.Clock, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// refusals are the refusals of a launch.
type refusals struct {
	say      func(line string)
	last     map[Attempt]*Refusal
	regional map[Attempt]*Refusal // of this round, by type and market
}

func everywhere(a Attempt) Attempt { return Attempt{Type: a.Type, Market: a.Market} }

// open reports whether to make an attempt: neither its last refusal is final, nor is
// its type refused everywhere in this round.
func (r *refusals) open(attempt Attempt) bool {
	if last := r.last[attempt]; last != nil && !last.Again {
		return false
	}
	if e := r.regional[everywhere(attempt)]; e != nil {
		r.last[attempt] = &Refusal{Attempt: attempt, Kind: e.Kind, Code: e.Code, Again: e.Again}
		return false
	}
	return true
}

// add records a refusal, and prints it if it differs from the attempt's last one.
func (r *refusals) add(refusal *Refusal) {
	attempt := refusal.Attempt
	if last := r.last[attempt]; last == nil || last.Code != refusal.Code {
		r.say("Launch refused: " + refusal.String())
	}
	if refusal.Regional {
		r.regional[everywhere(attempt)] = refusal
	}
	r.last[attempt] = refusal
}

// worthRetrying returns the number of attempts that may succeed later.
func (r *refusals) worthRetrying() (n int) {
	for refusal := range maps.Values(r.last) {
		if refusal.Again {
			n++
		}
	}
	return n
}

// of returns the last refusals of attempts, in their order.
func (r *refusals) of(attempts []Attempt) []Refusal {
	out := make([]Refusal, 0, len(attempts))
	for _, attempt := range attempts {
		out = append(out, *r.last[attempt])
	}
	return out
}
