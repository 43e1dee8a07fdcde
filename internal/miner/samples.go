// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// mostSamples is how many samples are kept: an hour's, at one a second, are.
const mostSamples = 8192

// Samples gathers rates in constant memory. Of more than mostSamples it keeps
// every second one, of twice as many every fourth, and so on; their number and
// their bounds stay exact. The zero value has none.
type Samples struct {
	kept     []Rate
	every    int // one of so many is kept, 0 for 1
	seen     int
	min, max Rate
}

// Add takes the next sample.
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

// Stats are the statistics of what was added.
func (s *Samples) Stats() Stats {
	stats := Summarize(s.kept)
	stats.Samples, stats.Min, stats.Max = s.seen, s.min, s.max
	return stats
}
