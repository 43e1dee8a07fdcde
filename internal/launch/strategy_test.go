// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

// fakeClock advances only during waits.
type fakeClock struct {
	now    time.Time
	pauses []time.Duration
	onWait func()
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.now = c.now.Add(d)
	c.pauses = append(c.pauses, d)
	if c.onWait != nil {
		c.onWait()
	}
	at := make(chan time.Time, 1)
	at <- c.now
	return at
}

func code(c string) error {
	return &smithy.GenericAPIError{Code: c, Message: "EC2 says " + c + ". More."}
}

// Error codes by their meaning.
const (
	none      = "InsufficientInstanceCapacity"
	quota     = "VcpuLimitExceeded"
	elsewhere = "Unsupported"
	price     = "SpotMaxPriceTooLow"
	throttle  = "RequestLimitExceeded"
	noRole    = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
)

func TestRungs(t *testing.T) {
	var got []string
	for _, r := range Attempts([]string{"g4dn.xlarge", "g5.xlarge"}, []Market{Spot, OnDemand}, []Place{{}, {Zone: "a"}, {Zone: "b", Subnet: "s"}}) {
		got = append(got, r.String())
	}
	want := []string{
		"g4dn.xlarge, spot, a zone chosen by EC2", "g4dn.xlarge, spot, a", "g4dn.xlarge, spot, b (s)",
		"g4dn.xlarge, on-demand, a zone chosen by EC2", "g4dn.xlarge, on-demand, a", "g4dn.xlarge, on-demand, b (s)",
		"g5.xlarge, spot, a zone chosen by EC2", "g5.xlarge, spot, a", "g5.xlarge, spot, b (s)",
		"g5.xlarge, on-demand, a zone chosen by EC2", "g5.xlarge, on-demand, a", "g5.xlarge, on-demand, b (s)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestStrategy(t *testing.T) {
	// Two markets in two zones: attempts 0 and 1 are spot, 2 and 3 on demand.
	attempts := Attempts([]string{"g4dn.xlarge"}, []Market{Spot, OnDemand}, []Place{{Zone: "a"}, {Zone: "b"}})
	for _, test := range []struct {
		name    string
		answers string // EC2's error codes in the order of calls; "" and "-" are success; the last one repeats
		timeout time.Duration
		calls   string        // the attempts made
		taken   int           // the successful attempt, -1 for none
		err     []string      // parts of the error
		paused  time.Duration // total
		said    int           // lines of output
	}{
		{"the first", "", 0, "0", 0, nil, 0, 0},
		{"a refusal skips one attempt", none + " " + none + " -", 0, "012", 2, nil, 0, 2},
		{"a type that is not offered skips one attempt", elsewhere + " -", 0, "01", 1, nil, 0, 1},
		{"a price skips one attempt", price + " -", 0, "01", 1, nil, 0, 1},
		{"a quota applies to the region: the next market", quota + " -", 0, "02", 2, nil, 0, 1},
		{"a missing spot role applies to the account: the next market", noRole + " -", time.Hour, "02", 2, nil, 0, 1},
		{"the error names the command that creates the role", noRole + " " + none, 0, "023", -1, []string{"aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"}, 0, 3},
		{"a throttled attempt is retried", throttle + " " + throttle + " -", 0, "000", 0, nil, 6 * time.Second, 2},
		{"throttling ends the build at last", throttle, 0, "000000", -1, []string{"g4dn.xlarge, spot, a", throttle}, 62 * time.Second, 5},
		{"throttling, then a refusal", throttle + " " + none + " -", 0, "001", 1, nil, 2 * time.Second, 2},
		{"any other error stops", none + " InvalidParameterValue", 0, "01", -1, []string{"g4dn.xlarge, spot, b", "InvalidParameterValue"}, 0, 1},
		{"the final error lists all attempts", none, 0, "0123", -1, []string{
			"all 4 combinations", "g4dn.xlarge, spot, a: no capacity at this time (" + none + ")", "on-demand, b", "set capacity_timeout"}, 0, 4},
		{"no capacity: repeated until it succeeds", none + " " + none + " " + none + " " + none + " " + none + " -", time.Hour, "012301", 1, nil, time.Minute, 5},
		{"repeated until the timeout", none, 150 * time.Second, "0123" + "0123" + "0123" + "0123", -1, []string{"tried 4 times in 2m30s", "raise capacity_timeout"}, 150 * time.Second, 5},
		{"a short timeout is one pause", none, 10 * time.Second, "0123" + "0123", -1, nil, 10 * time.Second, 5},
		{"a quota is not retried", quota, time.Hour, "02", -1, []string{"L-3819A6DF", "L-DB2E81BA", "g4dn.xlarge, on-demand, everywhere: exceeds"}, 0, 2},
		{"a type that is not offered is not retried", elsewhere, time.Hour, "0123", -1, []string{"describe-instance-type-offerings"}, 0, 4},
		{"only temporary failures are retried", elsewhere + " " + none + " " + quota + " " + none + " -", time.Hour, "012" + "11", 1, nil, 2 * time.Minute, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := strings.Fields(test.answers)
			clock := &fakeClock{now: time.Unix(0, 0)}
			said, calls := 0, ""
			strategy := Strategy{Attempts: attempts, Timeout: test.timeout, Patience: Default, Say: func(string) { said++ }}
			strategy.Patience.Clock = clock
			attempt, err := strategy.Run(t.Context(), func(_ context.Context, r Attempt) error {
				calls += fmt.Sprint(slices.Index(attempts, r))
				if len(answers) == 0 {
					return nil
				}
				answer := answers[0]
				if len(answers) > 1 {
					answers = answers[1:]
				}
				if answer == "-" {
					return nil
				}
				return code(answer)
			})
			if refused := new(RefusedError); errors.As(err, &refused) {
				refused.Region = "eu-central-1"
			}
			if calls != test.calls {
				t.Errorf("got attempts %s, want %s", calls, test.calls)
			}
			if test.taken >= 0 && (err != nil || attempt != attempts[test.taken]) || test.taken < 0 && err == nil {
				t.Errorf("got attempt %s, error %v", attempt, err)
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
			if paused := clock.now.Sub(time.Unix(0, 0)); paused != test.paused {
				t.Errorf("got pauses of %s (%v), want %s", paused, clock.pauses, test.paused)
			}
			if said != test.said {
				t.Errorf("got %d lines, want %d", said, test.said)
			}
		})
	}
}

// TestStrategyReportsChanges: a further pass over the attempts reports only changes.
func TestStrategyReportsChanges(t *testing.T) {
	attempts := Attempts([]string{"g4dn.xlarge"}, []Market{Spot}, []Place{{Zone: "a"}})
	var lines []string
	answers := []string{none, none, price, price, none, ""}
	strategy := Strategy{Attempts: attempts, Timeout: time.Hour, Patience: Default, Say: func(line string) { lines = append(lines, line) }}
	strategy.Patience.Clock = &fakeClock{}
	rewalks := 0
	strategy.BeforeRetry = func() { rewalks++ }
	if _, err := strategy.Run(t.Context(), func(context.Context, Attempt) error {
		answer := answers[0]
		answers = answers[1:]
		if answer == "" {
			return nil
		}
		return code(answer)
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{none, "every 1m0s for up to 1h0m0s", price, none}
	if len(lines) != len(want) {
		t.Fatalf("got %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %d: got %q, want %q in it", i, lines[i], want[i])
		}
	}
	if rewalks != 5 {
		t.Errorf("got %d announced passes, want 5", rewalks)
	}
}

func TestStrategyCancelled(t *testing.T) {
	attempts := Attempts([]string{"g4dn.xlarge"}, []Market{OnDemand}, []Place{{Zone: "a"}, {Zone: "b"}})
	for _, test := range []struct {
		name   string
		answer string
		inCall bool // cancelled during a call, otherwise during a pause
		calls  int
	}{
		{"between attempts", none, true, 1},
		{"while throttled", throttle, false, 1},
		{"between passes", none, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			clock := &fakeClock{}
			if !test.inCall {
				clock.onWait = cancel
			}
			strategy := Strategy{Attempts: attempts, Timeout: time.Hour, Patience: Default, Say: func(string) {}}
			strategy.Patience.Clock = clock
			calls := 0
			_, err := strategy.Run(ctx, func(context.Context, Attempt) error {
				calls++
				if test.inCall {
					cancel()
				}
				return code(test.answer)
			})
			if !errors.Is(err, context.Canceled) || calls != test.calls {
				t.Errorf("got %d calls, error %v, want %d and the cancellation", calls, err, test.calls)
			}
		})
	}
}

// TestStrategySkipsAttemptsAboveLimit: attempts above a limit are skipped.
func TestStrategySkipsAttemptsAboveLimit(t *testing.T) {
	attempts := Attempts([]string{"g5.xlarge", "g4dn.xlarge"}, []Market{OnDemand}, []Place{{}})
	limits := Limits{PerHour: 0.6}
	strategy := Strategy{Attempts: attempts, Patience: Default, Say: func(string) {}, Admit: func(_ context.Context, r Attempt) *Refusal {
		return limits.Refuse(Price{map[string]float64{"g5.xlarge": 1.006, "g4dn.xlarge": 0.526}[r.Type], SourceUser})
	}}
	var called []string
	attempt, err := strategy.Run(t.Context(), func(_ context.Context, r Attempt) error { called = append(called, r.Type); return nil })
	if err != nil || attempt.Type != "g4dn.xlarge" || len(called) != 1 {
		t.Errorf("got attempt %s, calls %v, error %v", attempt, called, err)
	}
	limits.PerHour = 0.1
	_, err = strategy.Run(t.Context(), func(context.Context, Attempt) error { t.Error("got a call, want none"); return nil })
	if err == nil || !strings.Contains(err.Error(), "costs $0.526 per hour (prices), more than $0.10 (max_price_per_hour)") || !strings.Contains(err.Error(), "raise max_price_per_hour") {
		t.Errorf("got error %v", err)
	}
}

func TestQuotaOf(t *testing.T) {
	for _, test := range []struct {
		instanceType string
		market       Market
		want         string // "" if unknown
	}{
		{"g4dn.xlarge", OnDemand, "L-DB2E81BA"},
		{"g4dn.xlarge", Reservation, "L-DB2E81BA"},
		{"p5.48xlarge", CapacityBlock, ""},
		{"g5g.xlarge", Spot, "L-3819A6DF"},
		{"p3.2xlarge", OnDemand, "L-417A185B"},
		{"p3.2xlarge", Spot, "L-7212CCBC"},
		{"p5.48xlarge", OnDemand, "L-417A185B"},
		{"p5.48xlarge", Spot, "L-C4BD4855"},
		{"t3.micro", OnDemand, "L-1216C47A"},
		{"c7g.large", Spot, "L-34B43A08"},
		{"inf2.xlarge", OnDemand, ""},
		{"mac2.metal", OnDemand, ""}, // hosts, not vCPUs
	} {
		if q, ok := QuotaOf(test.instanceType, test.market); q.Code != test.want || ok != (test.want != "") {
			t.Errorf("%s, %s: %q, want %q", test.instanceType, test.market, q.Code, test.want)
		}
	}
}
