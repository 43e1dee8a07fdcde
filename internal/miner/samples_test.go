// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
	"testing"
)

func TestSamples(t *testing.T) {
	var few Samples
	rates := []Rate{3, 1, 2, 5, 4}
	for _, r := range rates {
		few.Add(r)
	}
	if few.Stats() != Summarize(rates) || (&Samples{}).Stats() != (Stats{}) {
		t.Errorf("got %+v, want %+v", few.Stats(), Summarize(rates))
	}
	// A million samples, in an order without a pattern.
	var many Samples
	const n = 1_000_000
	for i := range n {
		many.Add(Rate(i * 7919 % n))
	}
	got := many.Stats()
	if got.Samples != n || got.Min != 0 || got.Max != n-1 || cap(many.kept) > 2*mostSamples {
		t.Errorf("got %+v, capacity %d", got, cap(many.kept))
	}
	for name, pair := range map[string][2]float64{
		"median": {float64(got.Median), n / 2}, "p5": {float64(got.P5), n / 20}, "p95": {float64(got.P95), n - n/20},
		"variation": {got.Variation * n, n / math.Sqrt(3)},
	} {
		if math.Abs(pair[0]-pair[1]) > n/100 {
			t.Errorf("%s: got %v, want about %v", name, pair[0], pair[1])
		}
	}
}
