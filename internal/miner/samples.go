// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// mostSamples is the maximum number of samples kept: an hour at one per second.
const mostSamples = 8192

// Samples collects rates in constant memory. Above mostSamples rates it keeps every
// second one, above twice as many every fourth, and so on; number, minimum and maximum
// stay exact. The zero value is empty.
type Samples struct {
	kept     []Rate
	every    int // one in this many rates is kept; 0 means 1
	seen     int
	min, max Rate
}

// Add adds a sample.
func (s *Samples) Add(r Rate) {
	if s.seen == 0 {
		s.min, s.max, s.every = r, r, 1
	}
	s.min, s.max = min(s.min, r), max(s.max, r)
	if s.seen%s.every == 0 {
		if len(s.kept) == mostSamples {
			for i := range mostSamples / 2 {
				s.kept[i] = s.kept[2*i]
			}
			s.kept = s.kept[:mostSamples/2]
			s.every *= 2
		}
		s.kept = append(s.kept, r)
	}
	s.seen++
}

// Stats returns the statistics of the added samples.
func (s *Samples) Stats() Stats {
	stats := Summarize(s.kept)
	stats.Samples, stats.Min, stats.Max = s.seen, s.min, s.max
	return stats
}
