// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Market is how an instance is paid for.
type Market string

// The markets, by their names in the configuration.
const (
	Reservation Market = "capacity-reservation" // paid for already
	OnDemand    Market = "on-demand"
	Spot        Market = "spot" // cheaper, and EC2 may take it back
)

// Place is where an instance may run. The zero value leaves that to EC2.
type Place struct {
	Zone   string // known for a subnet too
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
	return "a zone of EC2's choice"
}

// Rung is one try.
type Rung struct {
	Type   string
	Market Market
	Place  Place
}

func (r Rung) String() string { return fmt.Sprintf("%s, %s, %s", r.Type, r.Market, r.Place) }

// Rungs are all combinations, the type outermost, the place innermost.
func Rungs(types []string, markets []Market, places []Place) []Rung {
	var rungs []Rung
	for _, t := range types {
		for _, m := range markets {
			for _, p := range places {
				rungs = append(rungs, Rung{t, m, p})
			}
		}
	}
	return rungs
}

// Patience is how long to wait between tries.
type Patience struct {
	// Tries is how often one rung is tried while EC2 throttles.
	Tries int
	// Throttle is the first pause on a throttled rung; each further one is
	// twice as long.
	Throttle time.Duration
	// Walk is the pause before the ladder is walked again.
	Walk time.Duration
	// Clock is poll.Wall unless set.
	Clock poll.Clock
}

// Default waits a minute in all for a throttled rung. EC2 says of no time after
// which capacity comes back; it asks to "wait a few minutes"
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html).
var Default = Patience{Tries: 6, Throttle: 2 * time.Second, Walk: time.Minute}

// Ladder is what to try, and how long.
type Ladder struct {
	Rungs []Rung
	// Timeout walks the ladder again until it has passed; 0 walks it once.
	Timeout  time.Duration
	Patience Patience
	// Admit, if set, is asked before a rung is tried; the refusal that it
	// returns takes the place of EC2's.
	Admit func(context.Context, Rung) *Refusal
	// Rewalk, if set, is called before the ladder is walked again.
	Rewalk func()
	// Say is told, in one line, of each refusal that differs from the rung's
	// last one, and of each pause the first time.
	Say func(line string)
}

// Climb calls try for one rung after another until one succeeds, and returns
// that rung. It returns a *RefusedError at the end of the ladder, the context's
// error when that is cancelled, and else the error that stopped it.
func (l Ladder) Climb(ctx context.Context, try func(context.Context, Rung) error) (Rung, error) {
	if l.Patience.Clock == nil {
		l.Patience.Clock = poll.Wall{}
	}
	clock := l.Patience.Clock
	begun := clock.Now()
	last := make([]*Refusal, len(l.Rungs))
	for walk := 1; ; walk++ {
		regional := map[Rung]*Refusal{} // by type and market
		worth := 0
		for i, rung := range l.Rungs {
			if last[i] != nil && !last[i].Again {
				continue
			}
			everywhere := Rung{Type: rung.Type, Market: rung.Market}
			refusal := regional[everywhere]
			if refusal == nil {
				var err error
				if refusal, err = l.try(ctx, rung, try); err != nil || refusal == nil {
					return rung, err
				}
				if last[i] == nil || last[i].Code != refusal.Code {
					l.Say("Not launched: " + refusal.String())
				}
				if refusal.Regional {
					regional[everywhere] = refusal
				}
			} else {
				refusal = &Refusal{Rung: rung, Kind: refusal.Kind, Code: refusal.Code, Again: refusal.Again}
			}
			last[i] = refusal
			if refusal.Again {
				worth++
			}
		}
		waited := clock.Now().Sub(begun)
		if worth == 0 || waited >= l.Timeout {
			return Rung{}, &RefusedError{Refusals: values(last), Walks: walk, Waited: waited, Timeout: l.Timeout}
		}
		next := min(l.Patience.Walk, l.Timeout-waited)
		if walk == 1 {
			l.Say(fmt.Sprintf("No instance in any of %d ways; trying %d of them again every %s, until %s have passed (capacity_timeout)",
				len(l.Rungs), worth, l.Patience.Walk, l.Timeout))
		}
		if err := pause(ctx, clock, next); err != nil {
			return Rung{}, err
		}
		if l.Rewalk != nil {
			l.Rewalk()
		}
	}
}

// try tries one rung, again while EC2 throttles.
func (l Ladder) try(ctx context.Context, rung Rung, try func(context.Context, Rung) error) (*Refusal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.Admit != nil {
		if refusal := l.Admit(ctx, rung); refusal != nil {
			refusal.Rung = rung
			return refusal, ctx.Err()
		}
	}
	wait := l.Patience.Throttle
	for n := 1; ; n++ {
		err := try(ctx, rung)
		if err == nil {
			return nil, nil
		}
		if refusal := refusalOf(rung, err); refusal != nil {
			return refusal, nil
		}
		if !ec2api.IsThrottle(err) || n >= l.Patience.Tries {
			return nil, fmt.Errorf("%s: %w", rung, err)
		}
		l.Say(fmt.Sprintf("EC2 throttles (%s); trying %s again in %s", ec2api.Code(err), rung, wait))
		if err := pause(ctx, l.Patience.Clock, wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
}

func pause(ctx context.Context, clock poll.Clock, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-clock.After(d):
		return ctx.Err()
	}
}

func values(refusals []*Refusal) []Refusal {
	out := make([]Refusal, 0, len(refusals))
	for _, r := range refusals {
		out = append(out, *r)
	}
	return out
}
