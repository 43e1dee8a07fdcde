// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import "time"

// A pause is a fraction of the elapsed time, in thousandths, so that the delay in
// noticing the end is proportional to the wait.
const (
	quick   = 150 // for a state that changes within a minute
	blind   = 50  // without progress information
	unsure  = 40  // if the end is not where the progress suggests
	inTurn  = 30  // of Peers, if their waits are counted together
	early   = 150 // of Peers before an end is likely
	backoff = 125 // while the reported progress is 0
	// narrow is the inverse of the largest interval of the estimated end, as a
	// fraction of the wait, for which one request at the later bound is sufficient.
	narrow = 100
)

// A forecast is trusted for up to twice the elapsed time, three times after 10 %,
// and at most two minutes. This limits the delay if the operation ends earlier
// than its progress suggests.
const (
	trust      = 2
	trustTenth = 3
	trustMost  = 2 * time.Minute
)

// mostSlower is the maximum length of a pause in Intervals while AWS throttles.
const mostSlower = 16

// pause returns the time until the next request; part is the fraction of the
// elapsed time to use without a forecast.
func (w Waiter) pause(f *Forecast, elapsed, part time.Duration) time.Duration {
	if w.Fixed {
		return w.Interval
	}
	unknowing, doubtful := max(w.Interval, elapsed*part/1000), max(w.Interval, elapsed*unsure/1000)
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
		return max(w.Interval, elapsed*backoff/1000)
	case !f.Reported():
		return unknowing
	case !ok:
		return doubtful
	case elapsed >= latest: // overdue: poll quickly at first
		return min(max(w.Interval, (elapsed-latest)/2), doubtful)
	case latest-earliest <= max(w.Interval, latest/narrow):
		return max(trusted(latest), w.Interval/4)
	case elapsed < earliest:
		return max(trusted(earliest), w.Interval)
	default:
		return min(max(w.Interval, (latest-elapsed)/4), doubtful)
	}
}
