// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// FleetResponse is the response to a request that makes several attempts.
type FleetResponse struct {
	Launched Attempt // the attempt for which EC2 accepted the launch
	// Await waits until the launched instance runs; nil if none was launched.
	Await  func(context.Context) error
	Errors []AttemptError // of the other attempts
}

// AttemptError is EC2's error for an attempt.
type AttemptError struct {
	Attempt Attempt
	Err     error
}

// fleet makes attempts with one request. If EC2 accepts one of them and ends its
// instance before it runs, the others are made with another request.
func (l Strategy) fleet(ctx context.Context, attempts []Attempt, known *refusals) (_ Attempt, launched bool, err error) {
	refused := map[Attempt]bool{} // in this round
	for {
		var open []Attempt
		for _, attempt := range attempts {
			if refused[attempt] || !known.open(attempt) {
				continue
			}
			admitted, err := l.admit(ctx, attempt, known)
			if err != nil {
				return Attempt{}, false, err
			}
			if refused[attempt] = !admitted; admitted {
				open = append(open, attempt)
			}
		}
		if len(open) == 0 {
			return Attempt{}, false, nil
		}
		response, err := l.askFleet(ctx, open)
		if err != nil && !IsRefusal(err) {
			return Attempt{}, false, err
		}
		if err != nil { // of the whole request
			for _, attempt := range open {
				response.Errors = append(response.Errors, AttemptError{attempt, err})
			}
		}
		for _, e := range response.Errors {
			refusal := refusalOf(e.Attempt, e.Err)
			switch {
			case refused[e.Attempt]: // EC2 may return several errors
			case refusal == nil && response.Await == nil:
				return Attempt{}, false, fmt.Errorf("%s: %w", e.Attempt, e.Err)
			case refusal != nil:
				if known.open(e.Attempt) {
					known.add(refusal)
				}
				refused[e.Attempt] = true
			}
		}
		if response.Await == nil {
			for _, attempt := range open {
				if !refused[attempt] && known.open(attempt) {
					known.add(&Refusal{Attempt: attempt, Kind: NoCapacity, Code: "no error", Again: true, Reason: "the fleet launched no instance, and EC2 returned no reason"})
				}
			}
			return Attempt{}, false, nil
		}
		err = response.Await(ctx)
		refusal := refusalOf(response.Launched, err)
		switch {
		case err == nil:
			return response.Launched, true, nil
		case refusal == nil:
			return Attempt{}, false, fmt.Errorf("%s: %w", response.Launched, err)
		}
		known.add(refusal)
		refused[response.Launched] = true
	}
}

// askFleet makes the request of a fleet, and retries it while EC2 throttles.
func (l Strategy) askFleet(ctx context.Context, attempts []Attempt) (response FleetResponse, err error) {
	what := attempts[0].String()
	if len(attempts) > 1 {
		what = fmt.Sprintf("fleet of %d types and places", len(attempts))
	}
	err = l.throttled(ctx, what, func() (err error) {
		if response, err = l.Fleet(ctx, attempts); err != nil || response.Await != nil {
			return err
		}
		for _, e := range response.Errors {
			if awsclient.IsThrottle(e.Err) {
				return e.Err
			}
		}
		return nil
	})
	return response, err
}
