// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import (
	"context"
	"testing"
	"time"
)

// curves are ways to report the progress of an operation of length total.
var curves = map[string]func(elapsed, total time.Duration) int{
	"linear": func(elapsed, total time.Duration) int { return min(99, int(100*elapsed/total)) },
	"steps":  func(elapsed, total time.Duration) int { return int(10 * elapsed / total * 10) },
	"none":   func(_, _ time.Duration) int { return Unknown },
	"stuck":  func(elapsed, total time.Duration) int { return min(99, int(200*elapsed/total)) },
	"late": func(elapsed, total time.Duration) int { // 0 % for a third of the time
		return max(0, min(99, int((100*elapsed-total*100/3)*3/2/total)))
	},
	"slowing": func(elapsed, total time.Duration) int { // three quarters in the first half
		if 2*elapsed < total {
			return int(150 * elapsed / total)
		}
		return min(99, int(50+50*elapsed/total))
	},
	"ahead": func(elapsed, total time.Duration) int { return int(40 * elapsed / total) }, // ends at 40 %
}

// TestFollow bounds the delay after completion and the number of requests, for each
// curve and for waits of 12 seconds to an hour and a half. The delay is at most a second
// or a fraction of the wait.
func TestFollow(t *testing.T) {
	const least = time.Second
	for _, test := range []struct {
		curve string
		part  float64       // maximum delay as a fraction of the wait
		most  time.Duration // maximum delay
		asked int           // maximum requests of any wait
		ten   int           // maximum requests of a wait of ten minutes
	}{
		{"linear", 0.0125, time.Hour, 80, 12},
		{"steps", 0.04, time.Hour, 80, 32},
		{"none", 0.05, time.Hour, 140, 90},
		{"stuck", 0.04, time.Hour, 80, 40},
		{"late", 1, 30 * time.Second, 80, 40}, // appears slower at first
		{"slowing", 0.02, time.Minute, 80, 20},
		{"ahead", trustTenth, trustMost, 80, 20}, // misleads until the end
	} {
		t.Run(test.curve, func(t *testing.T) {
			var mostAsked, asked10, asked int
			var worst float64
			var latest time.Duration
			for total := 12.0; total < 5400; total *= 1.0137 {
				total := time.Duration(total * float64(time.Second))
				clock := &fakeClock{now: time.Unix(0, 0)}
				asked = 0
				var overshoot time.Duration
				note := func(_ string, _, most time.Duration, _ int) { overshoot = most }
				err := Waiter{Interval: least, First: 10 * time.Second, Timeout: 3 * time.Hour, Clock: clock, Note: note}.
					Follow(t.Context(), "it", func(context.Context, bool) (Progress, error) {
						asked++
						elapsed := clock.now.Sub(time.Unix(0, 0))
						if elapsed >= total {
							return Progress{Done: true}, nil
						}
						return Progress{Percent: curves[test.curve](elapsed, total)}, nil
					}, nil)
				late := clock.now.Sub(time.Unix(0, 0)) - total
				if err != nil || late > test.most || late > least && late.Seconds() > test.part*total.Seconds() {
					t.Errorf("%s: got %v, %s late after %d requests", total, err, late, asked)
				}
				if last := clock.pauses[len(clock.pauses)-1]; late > overshoot || overshoot != last {
					t.Errorf("%s: noted an overshoot of at most %s, want the last pause %s; it was %s", total, overshoot, last, late)
				}
				if late > least {
					worst = max(worst, late.Seconds()/total.Seconds())
				}
				latest, mostAsked = max(latest, late), max(mostAsked, asked)
				if total < 10*time.Minute {
					asked10 = max(asked10, asked)
				}
			}
			if mostAsked > test.asked || asked10 > test.ten {
				t.Errorf("got %d requests, %d in ten minutes, want at most %d and %d", mostAsked, asked10, test.asked, test.ten)
			}
			t.Logf("at most %.1f %% (%s) late, %d requests, %d in ten minutes", 100*worst, latest, mostAsked, asked10)
		})
	}
}

// TestFollowKeepsFixedInterval: aws_polling's delay_seconds is exact.
func TestFollowKeepsFixedInterval(t *testing.T) {
	clock := &fakeClock{now: time.Unix(0, 0)}
	err := Waiter{Interval: 7 * time.Second, Fixed: true, Timeout: time.Hour, Clock: clock}.
		Follow(t.Context(), "it", func(context.Context, bool) (Progress, error) {
			elapsed := clock.now.Sub(time.Unix(0, 0))
			return Progress{Done: elapsed > 50*time.Second, Percent: curves["linear"](elapsed, time.Minute)}, nil
		}, nil)
	if err != nil || len(clock.pauses) != 8 {
		t.Errorf("got error %v and pauses %v, want eight pauses", err, clock.pauses)
	}
	for _, pause := range clock.pauses {
		if pause != 7*time.Second {
			t.Errorf("got a pause of %s, want 7s each", pause)
		}
	}
}

// TestForecast: linear progress yields bounds that contain the end, whatever the size of
// the reported steps.
func TestForecast(t *testing.T) {
	for _, curve := range []string{"linear", "steps"} {
		for total := 20 * time.Second; total < 2*time.Hour; total = total * 11 / 10 {
			var f Forecast
			for part := time.Duration(1); part < 40; part++ {
				elapsed := total * part / 40
				f.Saw(elapsed, curves[curve](elapsed, total))
				if early, late, ok := f.Window(); ok && (early > total || late < total-time.Second/10) {
					t.Fatalf("%s: after %s of %s: got the end between %s and %s", curve, elapsed, total, early, late)
				}
			}
			early, late, ok := f.Window()
			if !ok || late-early > total/30 {
				t.Errorf("%s: finally, for %s: got the end between %s and %s (%t)", curve, total, early, late, ok)
			}
		}
	}
}
