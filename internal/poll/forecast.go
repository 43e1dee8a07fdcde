// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import "time"

// Forecast estimates when an operation that reports its progress will end. It
// assumes linear progress reported in equal steps, such as 1 % or 10 %, and learns
// the step size. So the estimate is an interval, which narrows with each
// observation. If the rate changes, the forecast restarts from there. The zero
// value has no observations.
type Forecast struct {
	from  sample   // start of the line
	seen  []sample // on the line, after from
	step  int      // greatest common divisor of 100 and all observations
	early time.Duration
	late  time.Duration
	known bool
}

// sample is an observation at a time since the start.
type sample struct {
	after   time.Duration
	percent int
}

// whole is the progress of a completed operation.
const whole = 100

// Saw adds an observation of 0 to 100 % at a time since the start. An observation
// without an increase is kept only if it has new information.
func (f *Forecast) Saw(after time.Duration, percent int) {
	if percent <= f.last().percent && f.known && after > f.late {
		return // no further progress
	}
	if f.step == 0 {
		f.step = whole
	}
	f.step = gcd(f.step, percent)
	f.seen = append(f.seen, sample{after, percent})
	if f.bound(); f.early > f.late && len(f.seen) > 1 {
		// The rate has changed: the previous line no longer applies.
		f.from, f.seen = f.seen[len(f.seen)-2], f.seen[len(f.seen)-1:]
		f.bound()
	}
}

func (f *Forecast) last() sample {
	if len(f.seen) == 0 {
		return f.from
	}
	return f.seen[len(f.seen)-1]
}

// Percent is the last observed progress.
func (f *Forecast) Percent() int { return f.last().percent }

// Waits reports whether progress is reported, but is still 0.
func (f *Forecast) Waits() bool { return f.Reported() && f.Percent() == 0 }

// Reported reports whether any progress has been reported.
func (f *Forecast) Reported() bool { return len(f.seen) > 0 }

// Window returns the bounds of the end, as times since the start; ok is false
// without sufficient observations.
func (f *Forecast) Window() (earliest, latest time.Duration, ok bool) {
	return f.early, f.late, f.known
}

// bound computes the bounds that are consistent with all observations. An
// observation p means a progress from p to p + step, also for the start of the
// line unless that is the start of the operation.
func (f *Forecast) bound() {
	f.known, f.early, f.late = false, 0, 1<<62
	slack := 0
	if f.from.after > 0 {
		slack = f.step
	}
	for _, s := range f.seen {
		run := s.after - f.from.after
		if climbed := s.percent - f.from.percent - slack; climbed > 0 {
			f.late = min(f.late, f.from.after+run*time.Duration(whole-f.from.percent-slack)/time.Duration(climbed))
			f.known = true
		}
		if most := min(s.percent+f.step, whole) - f.from.percent; most > 0 {
			f.early = max(f.early, f.from.after+run*time.Duration(whole-f.from.percent)/time.Duration(most))
		}
	}
	f.known = f.known && f.early <= f.late
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
