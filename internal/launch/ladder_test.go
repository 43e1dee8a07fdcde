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

// fakeClock passes time only where somebody waits.
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

// Codes by what they mean.
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
	for _, r := range Rungs([]string{"g4dn.xlarge", "g5.xlarge"}, []Market{Spot, OnDemand}, []Place{{}, {Zone: "a"}, {Zone: "b", Subnet: "s"}}) {
		got = append(got, r.String())
	}
	want := []string{
		"g4dn.xlarge, spot, a zone of EC2's choice", "g4dn.xlarge, spot, a", "g4dn.xlarge, spot, b (s)",
		"g4dn.xlarge, on-demand, a zone of EC2's choice", "g4dn.xlarge, on-demand, a", "g4dn.xlarge, on-demand, b (s)",
		"g5.xlarge, spot, a zone of EC2's choice", "g5.xlarge, spot, a", "g5.xlarge, spot, b (s)",
		"g5.xlarge, on-demand, a zone of EC2's choice", "g5.xlarge, on-demand, a", "g5.xlarge, on-demand, b (s)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestClimb(t *testing.T) {
	// Two markets in two zones: rungs 0 and 1 are spot, 2 and 3 on demand.
	rungs := Rungs([]string{"g4dn.xlarge"}, []Market{Spot, OnDemand}, []Place{{Zone: "a"}, {Zone: "b"}})
	for _, test := range []struct {
		name    string
		answers string // of EC2, in the order of calls; "" is an instance; the last one is repeated
		timeout time.Duration
		calls   string        // which rungs were tried
		taken   int           // the rung, -1 for none
		err     []string      // what it says
		paused  time.Duration // in all
		said    int           // lines
	}{
		{"the first", "", 0, "0", 0, nil, 0, 0},
		{"each refusal moves on by one", none + " " + none + " -", 0, "012", 2, nil, 0, 2},
		{"not offered moves on", elsewhere + " -", 0, "01", 1, nil, 0, 1},
		{"a price moves on", price + " -", 0, "01", 1, nil, 0, 1},
		{"a quota is the region's: the next market", quota + " -", 0, "02", 2, nil, 0, 1},
		{"no role for spot is the account's: the next market", noRole + " -", time.Hour, "02", 2, nil, 0, 1},
		{"and says how to make it", noRole + " " + none, 0, "023", -1, []string{"aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"}, 0, 3},
		{"a throttle stays", throttle + " " + throttle + " -", 0, "000", 0, nil, 6 * time.Second, 2},
		{"a throttle has an end", throttle, 0, "000000", -1, []string{"g4dn.xlarge, spot, a", throttle}, 62 * time.Second, 5},
		{"a throttle, then a refusal", throttle + " " + none + " -", 0, "001", 1, nil, 2 * time.Second, 2},
		{"anything else stops", none + " InvalidParameterValue", 0, "01", -1, []string{"g4dn.xlarge, spot, b", "InvalidParameterValue"}, 0, 1},
		{"the end lists all", none, 0, "0123", -1, []string{
			"refused were all 4 combinations", "g4dn.xlarge, spot, a: no capacity there now (" + none + ")", "on-demand, b", "set capacity_timeout"}, 0, 4},
		{"no capacity: walked again until it passes", none + " " + none + " " + none + " " + none + " " + none + " -", time.Hour, "012301", 1, nil, time.Minute, 5},
		{"the time has an end", none, 150 * time.Second, "0123" + "0123" + "0123" + "0123", -1, []string{"tried 4 times in 2m30s", "raise capacity_timeout"}, 150 * time.Second, 5},
		{"a short time is one pause", none, 10 * time.Second, "0123" + "0123", -1, nil, 10 * time.Second, 5},
		{"a quota is not walked again", quota, time.Hour, "02", -1, []string{"L-3819A6DF", "L-DB2E81BA", "g4dn.xlarge, on-demand, everywhere: more than"}, 0, 2},
		{"nor what is not offered", elsewhere, time.Hour, "0123", -1, []string{"describe-instance-type-offerings"}, 0, 4},
		{"only what time may help is walked again", elsewhere + " " + none + " " + quota + " " + none + " -", time.Hour, "012" + "11", 1, nil, 2 * time.Minute, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := strings.Fields(test.answers)
			clock := &fakeClock{now: time.Unix(0, 0)}
			said, calls := 0, ""
			ladder := Ladder{Rungs: rungs, Timeout: test.timeout, Patience: Default, Say: func(string) { said++ }}
			ladder.Patience.Clock = clock
			rung, err := ladder.Climb(t.Context(), func(_ context.Context, r Rung) error {
				calls += fmt.Sprint(slices.Index(rungs, r))
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
				t.Errorf("tried %s, want %s", calls, test.calls)
			}
			if test.taken >= 0 && (err != nil || rung != rungs[test.taken]) || test.taken < 0 && err == nil {
				t.Errorf("took %s, error %v", rung, err)
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if paused := clock.now.Sub(time.Unix(0, 0)); paused != test.paused {
				t.Errorf("paused %s (%v), want %s", paused, clock.pauses, test.paused)
			}
			if said != test.said {
				t.Errorf("said %d lines, want %d", said, test.said)
			}
		})
	}
}

// On a further walk, only what has changed is said.
func TestClimbSaysChanges(t *testing.T) {
	rungs := Rungs([]string{"g4dn.xlarge"}, []Market{Spot}, []Place{{Zone: "a"}})
	var lines []string
	answers := []string{none, none, price, price, none, ""}
	ladder := Ladder{Rungs: rungs, Timeout: time.Hour, Patience: Default, Say: func(line string) { lines = append(lines, line) }}
	ladder.Patience.Clock = &fakeClock{}
	rewalks := 0
	ladder.Rewalk = func() { rewalks++ }
	if _, err := ladder.Climb(t.Context(), func(context.Context, Rung) error {
		answer := answers[0]
		answers = answers[1:]
		if answer == "" {
			return nil
		}
		return code(answer)
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{none, "again every 1m0s, until 1h0m0s", price, none}
	if len(lines) != len(want) {
		t.Fatalf("said %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q in it", i, lines[i], want[i])
		}
	}
	if rewalks != 5 {
		t.Errorf("%d walks were announced, want 5", rewalks)
	}
}

func TestClimbCancelled(t *testing.T) {
	rungs := Rungs([]string{"g4dn.xlarge"}, []Market{OnDemand}, []Place{{Zone: "a"}, {Zone: "b"}})
	for _, test := range []struct {
		name   string
		answer string
		inCall bool // cancelled during a call, else during a pause
		calls  int
	}{
		{"between rungs", none, true, 1},
		{"while throttled", throttle, false, 1},
		{"between walks", none, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			clock := &fakeClock{}
			if !test.inCall {
				clock.onWait = cancel
			}
			ladder := Ladder{Rungs: rungs, Timeout: time.Hour, Patience: Default, Say: func(string) {}}
			ladder.Patience.Clock = clock
			calls := 0
			_, err := ladder.Climb(ctx, func(context.Context, Rung) error {
				calls++
				if test.inCall {
					cancel()
				}
				return code(test.answer)
			})
			if !errors.Is(err, context.Canceled) || calls != test.calls {
				t.Errorf("%d calls, error %v, want %d and the cancel", calls, err, test.calls)
			}
		})
	}
}

// What is not admitted is not called.
func TestClimbAdmits(t *testing.T) {
	rungs := Rungs([]string{"g5.xlarge", "g4dn.xlarge"}, []Market{OnDemand}, []Place{{}})
	limits := Limits{PerHour: 0.6}
	ladder := Ladder{Rungs: rungs, Patience: Default, Say: func(string) {}, Admit: func(_ context.Context, r Rung) *Refusal {
		return limits.Refuse(Price{map[string]float64{"g5.xlarge": 1.006, "g4dn.xlarge": 0.526}[r.Type], SourceUser})
	}}
	var called []string
	rung, err := ladder.Climb(t.Context(), func(_ context.Context, r Rung) error { called = append(called, r.Type); return nil })
	if err != nil || rung.Type != "g4dn.xlarge" || len(called) != 1 {
		t.Errorf("took %s, called %v, error %v", rung, called, err)
	}
	limits.PerHour = 0.1
	_, err = ladder.Climb(t.Context(), func(context.Context, Rung) error { t.Error("called"); return nil })
	if err == nil || !strings.Contains(err.Error(), "costs $0.526 an hour (prices), more than $0.10 (max_price_per_hour)") || !strings.Contains(err.Error(), "raise max_price_per_hour") {
		t.Errorf("error %v", err)
	}
}

func TestQuotaOf(t *testing.T) {
	for _, test := range []struct {
		instanceType string
		market       Market
		want         string // "" where it is not known
	}{
		{"g4dn.xlarge", OnDemand, "L-DB2E81BA"},
		{"g4dn.xlarge", Reservation, "L-DB2E81BA"},
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
