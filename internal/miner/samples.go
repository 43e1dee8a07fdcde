// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// mostSamples is the maximum number of samples kept: an hour at one per second.
const mostSamples = 8192

// Thinned keeps values in constant memory. Above most values it keeps every second
// one, above twice as many every fourth, and so on.
type Thinned[T any] struct {
	kept  []T
	most  int // an even number
	every int // one in this many values is kept; 0 means 1
	seen  int
}

// NewThinned returns an empty Thinned that keeps at most most values, an even number.
func NewThinned[T any](most int) *Thinned[T] { return &Thinned[T]{most: most} }

// Add adds a value.
func (t *Thinned[T]) Add(value T) {
	t.every = max(t.every, 1)
	if t.seen%t.every == 0 {
		if len(t.kept) == t.most {
			for i := range t.most / 2 {
				t.kept[i] = t.kept[2*i]
			}
			t.kept = t.kept[:t.most/2]
			t.every *= 2
		}
		t.kept = append(t.kept, value)
	}
	t.seen++
}

// Kept returns the kept values in their order.
func (t *Thinned[T]) Kept() []T { return t.kept }

// Samples collects rates in constant memory. Number, minimum and maximum are those of
// all rates. The zero value is empty.
type Samples struct {
	rates    Thinned[Rate]
	min, max Rate
}

// Add adds a sample.
func (s *Samples) Add(r Rate) {
	if s.rates.seen == 0 {
		s.min, s.max, s.rates.most = r, r, mostSamples
	}
	s.min, s.max = min(s.min, r), max(s.max, r)
	s.rates.Add(r)
}

// Stats returns the statistics of the added samples.
func (s *Samples) Stats() Stats {
	stats := Summarize(s.rates.kept)
	stats.Samples, stats.Min, stats.Max = s.rates.seen, s.min, s.max
	return stats
}
