// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "math"

// A rate is stable when the medians of two groups of stableCollections successive
// collections differ by less than stableDrift. The drift is higher while a GPU warms
// up or another GPU still generates its DAG.
const (
	stableCollections = 3
	stableDrift       = 0.02
)

// Steady detects when a rate is stable. The zero value is ready to use.
type Steady struct {
	recent []Rate // the last 2 x stableCollections
}

// Add adds the next collection's rate.
func (s *Steady) Add(r Rate) {
	if len(s.recent) == 2*stableCollections {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, r)
}

// Stable reports whether the rate is stable.
func (s *Steady) Stable() bool {
	if len(s.recent) < 2*stableCollections {
		return false
	}
	before, after := Summarize(s.recent[:stableCollections]).Median, Summarize(s.recent[stableCollections:]).Median
	return before > 0 && math.Abs(float64(after-before)) < stableDrift*float64(before)
}
