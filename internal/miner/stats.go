// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
	"slices"
)

// Stats describes the rates that were seen in a window, in hashes a second.
// Its zero value stands for a window without samples.
type Stats struct {
	Samples          int
	Median, Min, Max Rate
}

// Summarize takes the statistics of samples, in any order.
func Summarize(samples []Rate) Stats {
	if len(samples) == 0 {
		return Stats{}
	}
	sorted := slices.Sorted(slices.Values(samples))
	return Stats{
		Samples: len(sorted),
		Median:  quantile(sorted, 0.5),
		Min:     sorted[0],
		Max:     sorted[len(sorted)-1],
	}
}

// quantile interpolates linearly between the two nearest of sorted samples;
// the median of an even number is thus the mean of the middle two.
func quantile(sorted []Rate, q float64) Rate {
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*Rate(at-float64(low))
}
