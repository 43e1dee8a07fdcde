// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFleet: types A and B in zones a and b; requests make 0 and 1 (A), then 2 and 3 (B)
// together, or all four.
func TestFleet(t *testing.T) {
	attempts := Attempts([]string{"A", "B"}, []Market{Spot}, []Place{{Zone: "a"}, {Zone: "b"}})
	for _, test := range []struct {
		name    string
		answers string // of each request: "N+CODE" launches attempt N, whose instance ends; "N" runs; "NCODE" is an error of N; "-CODE" of the request
		timeout time.Duration
		calls   string // the attempts of each request
		taken   int    // -1 for none
		err     []string
		said    []string
	}{
		{"the first request", "2", 0, "0123", 2, nil, nil},
		{"errors of the others", "0" + none + ",1" + elsewhere + ",3", 0, "0123", 3, nil, []string{"A, spot, a: no capacity", "A, spot, b: EC2 says Unsupported"}},
		{"an error that is no refusal does not matter if an instance runs", "0InvalidX,3", 0, "0123", 3, nil, nil},
		{"a quota counts once", "0" + quota + ",1" + quota + ",2", 0, "0123", 2, nil, []string{"A, spot, everywhere"}},
		{"all are refused", "0" + none + ",1" + none + ",2" + quota + ",3" + quota, 0, "0123", -1, []string{"all 4 combinations", "A, spot, b: no capacity"}, []string{"A, spot, a", "A, spot, b", "B, spot, everywhere"}},
		{"without a reason", "0" + none, 0, "0123", -1, []string{"all 4 combinations", "B, spot, b: the fleet launched no instance, and EC2 returned no reason"}, []string{"A, spot, a", "A, spot, b: the fleet", "B, spot, a: the fleet", "B, spot, b: the fleet"}},
		{"an error that is no refusal", "0" + none + ",1InvalidX", 0, "0123", -1, []string{"A, spot, b: api error InvalidX"}, []string{"A, spot, a"}},
		{"a refused request", "-" + noRole, 0, "0123", -1, []string{"service-linked role"}, []string{"A, spot, everywhere", "B, spot, everywhere"}},
		{"an error of the request", "-InvalidX", 0, "0123", -1, []string{"fleet of 4 types and places: api error InvalidX"}, nil},
		{"the instance ends: the others again", "1+Server.InternalError 0" + none + ",3", 0, "0123 023", 3, nil, []string{"A, spot, b: i-1 ended before it ran", "A, spot, a: no capacity"}},
		{"all volumes of a type are refused", "1+Client.VolumeLimitExceeded 3", 0, "0123 23", 3, nil, []string{"A, spot, everywhere"}},
		{"the instance ends for another reason", "1+Client.InternalError", 0, "0123", -1, []string{"A, spot, b: i-1 ended"}, nil},
		{"a round of the rest", "0" + none + ",1" + elsewhere + ",2" + quota + ",3" + quota + " 0", time.Hour, "0123 0", 0, nil, []string{"A, spot, a", "A, spot, b", "B, spot, everywhere"}},
		{"throttled requests", "-" + throttle + " 1", 0, "0123 0123", 1, nil, nil},
		{"throttled attempts", "0" + throttle + ",1" + throttle + " 1", 0, "0123 0123", 1, nil, nil},
		{"throttled too long", "-" + throttle, 0, "0123 0123 0123 0123 0123 0123", -1, []string{"fleet of 4 types and places", throttle}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls, said []string
			answers := strings.Fields(test.answers)
			strategy := Strategy{Attempts: attempts, Timeout: test.timeout, Patience: Default, Together: func(a, b Attempt) bool { return a.Market == b.Market }}
			strategy.Patience.Clock = &fakeClock{now: time.Unix(0, 0)}
			strategy.Say = func(line string) {
				if text, refused := strings.CutPrefix(line, "Launch refused: "); refused {
					said = append(said, text)
				}
			}
			strategy.Fleet = func(_ context.Context, of []Attempt) (response FleetResponse, err error) {
				call := ""
				for _, a := range of {
					call += fmt.Sprint(slices.Index(attempts, a))
				}
				calls = append(calls, call)
				text := answers[0]
				if len(answers) > 1 {
					answers = answers[1:]
				}
				for _, part := range strings.Split(text, ",") {
					if c, whole := strings.CutPrefix(part, "-"); whole {
						return response, code(c)
					}
					attempt := attempts[part[0]-'0']
					switch end, ends := strings.CutPrefix(part[1:], "+"); {
					case ends:
						response.Launched, response.Await = attempt, func(context.Context) error { return &EndedError{ID: "i-1", Code: end} }
					case part[1:] == "":
						response.Launched, response.Await = attempt, func(context.Context) error { return nil }
					default:
						response.Errors = append(response.Errors, AttemptError{attempt, code(part[1:])})
					}
				}
				return response, nil
			}
			attempt, err := strategy.Run(t.Context(), func(context.Context, Attempt) error { t.Error("got a single attempt"); return nil })
			if got := strings.Join(calls, " "); got != test.calls {
				t.Errorf("got requests %q, want %q", got, test.calls)
			}
			if test.taken >= 0 && (err != nil || attempt != attempts[test.taken]) || test.taken < 0 && err == nil {
				t.Errorf("got attempt %s, error %v", attempt, err)
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
			if !slices.EqualFunc(said, test.said, strings.HasPrefix) {
				t.Errorf("got refusals %q, want %q", said, test.said)
			}
		})
	}
}

// TestFleetRequests: only consecutive attempts are made together.
func TestFleetRequests(t *testing.T) {
	l := Strategy{
		Attempts: Attempts([]string{"A", "B"}, []Market{Spot, OnDemand}, []Place{{Zone: "a"}, {Zone: "b"}}),
		Together: func(a, b Attempt) bool { return a.Market == Spot && b.Market == Spot },
	}
	var sizes []int
	for _, attempts := range l.Requests() {
		sizes = append(sizes, len(attempts))
	}
	if !slices.Equal(sizes, []int{2, 1, 1, 2, 1, 1}) {
		t.Errorf("got requests of %v attempts", sizes)
	}
}

// TestFleetCancelled: nothing is requested after a cancellation.
func TestFleetCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := Strategy{
		Attempts: Attempts([]string{"A", "B"}, []Market{Spot}, []Place{{}}), Say: func(string) {}, Patience: Default, Timeout: time.Hour,
		Together: func(a, b Attempt) bool { return true },
		Fleet: func(context.Context, []Attempt) (FleetResponse, error) {
			cancel()
			return FleetResponse{Launched: Attempt{Type: "A", Market: Spot}, Await: func(context.Context) error { return &EndedError{ID: "i-1", Code: "Server.InternalError"} }}, nil
		},
	}
	if _, err := l.Run(ctx, nil); err != context.Canceled { //nolint:errorlint // not wrapped
		t.Errorf("got %v, want the cancellation", err)
	}
}
