// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// Constants of the Ethash specification (ethereum.org, "Ethash", and the yellow
// paper's appendix J); sizes are in bytes.
const (
	// EpochBlocks is the number of blocks per DAG in Ethash.
	EpochBlocks = 30000
	// EtchashEpochBlocks is the same in Ethereum Classic since block 11,700,000
	// (ECIP-1099).
	EtchashEpochBlocks = 60000
	// HashReadBytes is the number of bytes that one hash reads from the DAG: 64 reads
	// of 128 bytes.
	HashReadBytes = 64 * 128

	datasetStart, datasetGrowth, datasetItem = 1 << 30, 1 << 23, 128
	cacheStart, cacheGrowth, cacheItem       = 1 << 24, 1 << 17, 64

	// maxEpoch keeps sizes within 64 bits; the chain needs millennia to reach it.
	maxEpoch = 1 << 20
)

// Epoch returns the Ethash epoch of a block.
func Epoch(block uint64) uint64 { return block / EpochBlocks }

// DatasetBytes returns the size of an epoch's DAG: the greatest size below the linear
// growth whose number of 128-byte items is prime. Epochs above 2^20 are treated as
// 2^20.
func DatasetBytes(epoch uint64) uint64 {
	return primeSize(datasetStart+datasetGrowth*min(epoch, maxEpoch), datasetItem)
}

// CacheBytes returns the size of an epoch's light cache, by the same rule with 64-byte
// items.
func CacheBytes(epoch uint64) uint64 {
	return primeSize(cacheStart+cacheGrowth*min(epoch, maxEpoch), cacheItem)
}

// BandwidthLimit returns the maximum rate for a memory bandwidth in bytes per second:
// every hash reads HashReadBytes at random addresses.
func BandwidthLimit(bytesPerSecond float64) Rate {
	return Rate(bytesPerSecond / HashReadBytes)
}

// CachedLimit returns the maximum rate for a memory limit and a cache of cached bytes:
// the cached part of a DAG of dag bytes is not read from memory.
func CachedLimit(memory Rate, cached, dag uint64) Rate {
	if dag == 0 {
		return memory
	}
	share := min(float64(cached)/float64(dag), 0.5)
	return memory / Rate(1-share)
}

// primeSize searches downwards from limit, in steps of two items, for a prime number
// of items.
func primeSize(limit, item uint64) uint64 {
	size := limit - item
	for !isPrime(size / item) {
		size -= 2 * item
	}
	return size
}

// isPrime uses trial division: an item count of 2^37 needs at most 2^18 steps.
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
