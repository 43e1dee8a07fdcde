// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// The constants are those of the Ethash specification (ethereum.org, "Ethash",
// and the yellow paper's appendix J); sizes are bytes.
const (
	// EpochBlocks is how many blocks share one DAG in Ethash.
	EpochBlocks = 30000
	// EtchashEpochBlocks is the same in Ethereum Classic since block 11,700,000
	// (ECIP-1099).
	EtchashEpochBlocks = 60000
	// HashReadBytes is what one hash reads from the DAG: 64 reads of 128 bytes.
	HashReadBytes = 64 * 128

	datasetStart, datasetGrowth, datasetItem = 1 << 30, 1 << 23, 128
	cacheStart, cacheGrowth, cacheItem       = 1 << 24, 1 << 17, 64

	// maxEpoch keeps sizes far inside 64 bits; the chain needs millennia for it.
	maxEpoch = 1 << 20
)

// Epoch is the Ethash epoch of a block.
func Epoch(block uint64) uint64 { return block / EpochBlocks }

// DatasetBytes is the size of an epoch's DAG: the greatest size under the
// linear growth whose number of 128-byte items is prime. Epochs past 2^20 are
// treated as 2^20.
func DatasetBytes(epoch uint64) uint64 {
	return primeSize(datasetStart+datasetGrowth*min(epoch, maxEpoch), datasetItem)
}

// CacheBytes is the size of an epoch's light cache, by the same rule with
// 64-byte items.
func CacheBytes(epoch uint64) uint64 {
	return primeSize(cacheStart+cacheGrowth*min(epoch, maxEpoch), cacheItem)
}

// BandwidthLimit is the highest rate that a memory of that bandwidth, in bytes
// a second, can feed: every hash reads HashReadBytes at random places.
func BandwidthLimit(bytesPerSecond float64) Rate {
	return Rate(bytesPerSecond / HashReadBytes)
}

// primeSize walks down from just under limit, two items a step, to a prime
// number of items.
func primeSize(limit, item uint64) uint64 {
	size := limit - item
	for !isPrime(size / item) {
		size -= 2 * item
	}
	return size
}

// isPrime by trial division: an item count of 2^37 needs at most 2^18 steps.
func isPrime(n uint64) bool {
	if n < 2 || n%2 == 0 {
		return n == 2
	}
	for d := uint64(3); d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}
