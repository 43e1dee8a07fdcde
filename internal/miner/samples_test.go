// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
	"slices"
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
	if got.Samples != n || got.Min != 0 || got.Max != n-1 || cap(many.rates.kept) > 2*mostSamples {
		t.Errorf("got %+v, capacity %d", got, cap(many.rates.kept))
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

func TestThinned(t *testing.T) {
	for _, test := range []struct {
		n    int
		want []int
	}{
		{0, nil},
		{4, []int{0, 1, 2, 3}},
		{5, []int{0, 2, 4}},
		{9, []int{0, 4, 8}},
	} {
		few := NewThinned[int](4)
		for i := range test.n {
			few.Add(i)
		}
		if got := few.Kept(); !slices.Equal(got, test.want) {
			t.Errorf("%d values: kept %v, want %v", test.n, got, test.want)
		}
	}
}
