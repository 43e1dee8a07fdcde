// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
	"slices"
)

// Stats describes the rates of a window, in hashes per second. The zero value means no
// samples.
type Stats struct {
	Samples          int
	Median, Min, Max Rate
	// P5 and P95 are the 5th and 95th percentiles.
	P5, P95 Rate
	// Variation is the coefficient of variation: the standard deviation of the
	// samples (of n, not n-1) divided by their mean; 0 if the mean is 0.
	Variation float64
}

// Summarize returns the statistics of samples in any order.
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
		P5:      quantile(sorted, 0.05),
		P95:     quantile(sorted, 0.95),

		Variation: variation(sorted),
	}
}

// variation returns the coefficient of variation.
func variation(samples []Rate) float64 {
	var sum, squares float64
	for _, s := range samples {
		sum += float64(s)
	}
	mean := sum / float64(len(samples))
	if mean == 0 {
		return 0
	}
	for _, s := range samples {
		squares += (float64(s) - mean) * (float64(s) - mean)
	}
	return math.Sqrt(squares/float64(len(samples))) / mean
}

// quantile interpolates linearly between the two nearest of sorted samples; the median
// of an even number is thus the mean of the middle two.
func quantile(sorted []Rate, q float64) Rate {
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*Rate(at-float64(low))
}
