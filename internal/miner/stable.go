// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import "math"

// The test of a stable rate: two groups of stableLines successive samples whose
// medians differ by less than stableDrift. A GPU that is warming up, or a DAG
// that another GPU still makes, drifts by more.
const (
	stableLines = 5
	stableDrift = 0.02
)

// Steady follows a rate until it is stable. The zero value has seen nothing.
type Steady struct {
	recent []Rate // the last 2 x stableLines
}

// Add takes the next sample.
func (s *Steady) Add(r Rate) {
	if len(s.recent) == 2*stableLines {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, r)
}

// Stable says whether the last samples have the rate of those before.
func (s *Steady) Stable() bool {
	if len(s.recent) < 2*stableLines {
		return false
	}
	before, after := Summarize(s.recent[:stableLines]).Median, Summarize(s.recent[stableLines:]).Median
	return before > 0 && math.Abs(float64(after-before)) < stableDrift*float64(before)
}
