// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Ethash revision 23, as Ethereum's specification gives it, evaluated from the light cache: the dataset ("DAG") is never
// stored, each item that a hash touches is computed when it is needed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ethash {

constexpr uint64_t kSeedLength = 30000;  // blocks; the seed is hashed once for each
#ifdef ETCHASH
// Ethereum Classic since block 11,700,000 (ECIP-1099): epochs are twice as long, seeds are hashed as often as before, and
// sizes are those of the epoch's number.
constexpr uint64_t kEpochLength = 2 * kSeedLength;
constexpr char kAlgorithm[] = "Etchash";
#else
constexpr uint64_t kEpochLength = kSeedLength;
constexpr char kAlgorithm[] = "Ethash";
#endif
constexpr uint32_t kMaxEpoch = 2047;      // the last one in the specification's tables of sizes
constexpr uint32_t kAccesses = 64;        // pages that one hash reads
constexpr uint32_t kParents = 256;        // cache items behind one dataset item

// 32 bytes in the order in which they are printed; as a number, big-endian.
struct Hash256 {
    uint8_t bytes[32];
};

// 64 bytes: one item of the cache, or of the dataset. A page of the dataset is two.
struct Item {
    alignas(64) uint32_t words[16];
};

struct Evaluation {
    Hash256 mix;
    Hash256 result;
};

uint64_t dataset_bytes(uint32_t epoch);
uint64_t cache_bytes(uint32_t epoch);
Hash256 seed_hash(uint32_t epoch);

// floor((2^256 - 1) / difficulty): a result at or below it is a solution. difficulty is in hashes, at least 1.
Hash256 boundary(uint32_t difficulty);
// About the hashes that a boundary takes; the other way round.
double difficulty(const Hash256& boundary);
bool at_or_below(const Hash256& result, const Hash256& boundary);

// The cache of one epoch, and what is needed to compute dataset items from it.
class Light {
public:
    // Takes a second or so; returns early, with an unusable cache, once stop is set. The dataset has its epoch's pages, unless
    // pages gives another number, for tests.
    Light(uint32_t epoch, const std::atomic<bool>& stop, uint32_t pages = 0);

    uint32_t epoch() const { return epoch_; }
    uint32_t pages() const { return pages_; }  // of 128 bytes, in the dataset
    const std::vector<Item>& cache() const { return cache_; }

private:
    uint32_t epoch_;
    uint32_t pages_;
    std::vector<Item> cache_;
};

// The straight way, one step after the other as in the specification. Solutions are verified with this.
Evaluation evaluate(const Light& light, const Hash256& header, uint64_t nonce);

// The quick way: kLanes neighbouring nonces at once, so that the waits for memory overlap. The search runs on this.
constexpr uint32_t kLanes = 4;
void evaluate_lanes(const Light& light, const Hash256& header, uint64_t first_nonce, Evaluation out[kLanes]);

}  // namespace ethash
