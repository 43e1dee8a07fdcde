// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
	"testing"
)

func TestSizes(t *testing.T) {
	// The first eight sizes and 2047, the last, are in the tables of the Ethash
	// specification.
	for _, test := range []struct{ epoch, dataset, cache uint64 }{
		{0, 1073739904, 16776896},
		{1, 1082130304, 16907456},
		{2, 1090514816, 17039296},
		{3, 1098906752, 17170112},
		{4, 1107293056, 17301056},
		{5, 1115684224, 17432512},
		{6, 1124070016, 17563072},
		{7, 1132461952, 17693888},
		{2047, 18245220736, 285081536},
	} {
		if got := DatasetBytes(test.epoch); got != test.dataset {
			t.Errorf("DatasetBytes(%d) = %d, want %d", test.epoch, got, test.dataset)
		}
		if got := CacheBytes(test.epoch); got != test.cache {
			t.Errorf("CacheBytes(%d) = %d, want %d", test.epoch, got, test.cache)
		}
	}
}

func TestSizesAreJustBelowLimit(t *testing.T) {
	for epoch := uint64(0); epoch < 1000; epoch++ {
		dataset, cache := DatasetBytes(epoch), CacheBytes(epoch)
		if limit := 1<<30 + epoch<<23; dataset >= limit || limit-dataset > 1<<20 || dataset%128 != 0 {
			t.Fatalf("DatasetBytes(%d) = %d is not just under %d", epoch, dataset, limit)
		}
		if limit := 1<<24 + epoch<<17; cache >= limit || limit-cache > 1<<17 || cache%64 != 0 {
			t.Fatalf("CacheBytes(%d) = %d is not just under %d", epoch, cache, limit)
		}
	}
	if DatasetBytes(math.MaxUint64) != DatasetBytes(maxEpoch) {
		t.Error("got an overflow for an epoch past the last one")
	}
}

func TestEpoch(t *testing.T) {
	for block, want := range map[uint64]uint64{
		0: 0, 1: 0, 29999: 0, 30000: 1, 11_699_999: 389, 11_700_000: 390,
		15_537_393: 517, // Ethereum's last proof-of-work block
	} {
		if got := Epoch(block); got != want {
			t.Errorf("Epoch(%d) = %d, want %d", block, got, want)
		}
	}
}

func TestBandwidthLimit(t *testing.T) {
	// A T4's 320 GB/s allow 39.1 Mh/s.
	if got := BandwidthLimit(320e9).String(); got != "39.06 Mh/s" {
		t.Errorf("BandwidthLimit(320e9) = %s, want 39.1 Mh/s", got)
	}
}
