// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import "time"

// A pause is a part of the time that has passed, in thousandths, so that what is
// noticed late is so in proportion to the wait.
const (
	quick   = 150 // of a state that changes within a minute
	blind   = 40  // where nothing tells the end
	begging = 125 // where progress is told and has not begun
	// narrow is which part of the wait the two bounds of the end may be apart
	// for one question, at the later, to be enough.
	narrow = 100
)

// A forecast is trusted for twice as long as has passed, three times once a
// tenth is done, and two minutes at most: what outruns its own progress is
// noticed so late at most.
const (
	trust      = 2
	trustTenth = 3
	trustMost  = 2 * time.Minute
)

// mostSlower is how many Intervals a pause becomes while AWS throttles.
const mostSlower = 16

// pause is how long to wait until the next question; part is which one of the
// time that has passed, where nothing tells more.
func (w Waiter) pause(f *Forecast, elapsed, part time.Duration) time.Duration {
	if w.Fixed {
		return w.Interval
	}
	unknowing := max(w.Interval, elapsed*part/1000)
	earliest, latest, ok := f.Window()
	trusted := func(end time.Duration) time.Duration {
		times := time.Duration(trust)
		if f.Percent() >= whole/10 {
			times = trustTenth
		}
		return min(end-elapsed, times*elapsed, trustMost)
	}
	switch {
	case !ok && f.Waits():
		return max(w.Interval, elapsed*begging/1000)
	case !ok:
		return unknowing
	case elapsed >= latest: // it should have ended: any moment, at first
		return min(max(w.Interval, (elapsed-latest)/2), unknowing)
	case latest-earliest <= max(w.Interval, latest/narrow):
		return max(trusted(latest), w.Interval/4)
	case elapsed < earliest:
		return max(trusted(earliest), w.Interval)
	default:
		return min(max(w.Interval, (latest-elapsed)/4), unknowing)
	}
}
