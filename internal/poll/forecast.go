// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package poll

import "time"

// Forecast says when something that tells its progress will end. It takes the
// progress for a straight line that is told in equal steps, whose size it
// learns: of 1 %, or 10 %. So it knows the end only within two bounds,
// which close in with each observation; where the line bends, it begins anew
// from the bend. The zero value has seen nothing.
type Forecast struct {
	from  sample   // where the line begins
	seen  []sample // on the line, after from
	step  int      // the largest part of 100 % that all that was told is a multiple of
	early time.Duration
	late  time.Duration
	known bool
}

// sample is what was told after a time since the beginning.
type sample struct {
	after   time.Duration
	percent int
}

// whole is a progress that says that it is done.
const whole = 100

// Saw adds what was told after a time since the beginning, 0 to 100 %. What is
// not more than was told before is kept only where it says something new.
func (f *Forecast) Saw(after time.Duration, percent int) {
	if percent <= f.last().percent && f.known && after > f.late {
		return // it does not move any more
	}
	if f.step == 0 {
		f.step = whole
	}
	f.step = gcd(f.step, percent)
	f.seen = append(f.seen, sample{after, percent})
	if f.bound(); f.early > f.late && len(f.seen) > 1 {
		// A bend: the line of before leads nowhere.
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

// Percent is the last progress that was seen.
func (f *Forecast) Percent() int { return f.last().percent }

// Waits says that progress is told, and that it has not begun.
func (f *Forecast) Waits() bool { return len(f.seen) > 0 && f.Percent() == 0 }

// Window returns the bounds of the end, since the beginning; ok is false where
// there is nothing to go by.
func (f *Forecast) Window() (earliest, latest time.Duration, ok bool) {
	return f.early, f.late, f.known
}

// bound computes the bounds that all observations agree on. What is told as p
// is anywhere from p up to p + step, where the line begins as well, unless that
// is the beginning itself.
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
