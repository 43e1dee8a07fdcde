// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Ethash revision 23 of Ethereum's specification, evaluated from the light cache: the dataset ("DAG") is not stored, each
// item is computed on demand.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <vector>

namespace ethash {

constexpr uint64_t kSeedLength = 30000;  // blocks per hash of the seed
#ifdef ETCHASH
// Ethereum Classic since block 11,700,000 (ECIP-1099): epochs are twice as long, seeds are still hashed every 30000 blocks,
// and sizes follow the epoch number.
constexpr uint64_t kEpochLength = 2 * kSeedLength;
constexpr char kAlgorithm[] = "Etchash";
#else
constexpr uint64_t kEpochLength = kSeedLength;
constexpr char kAlgorithm[] = "Ethash";
#endif
constexpr uint32_t kMaxEpoch = 2047;      // the last one in the specification's size tables
constexpr uint32_t kAccesses = 64;        // pages that one hash reads
constexpr uint32_t kParents = 256;        // cache items behind one dataset item

// 32 bytes in printing order, a big-endian number.
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
// The inverse: about the number of hashes that a boundary takes.
double difficulty(const Hash256& boundary);
bool at_or_below(const Hash256& result, const Hash256& boundary);

// The cache of one epoch, and the parameters to compute dataset items from it.
class Light {
public:
    // Starts to make the cache, which takes about a second, in its own thread. Tests set pages to replace the epoch's number of
    // pages.
    explicit Light(uint32_t epoch, uint32_t pages = 0);
    ~Light() { stop(); }
    Light(const Light&) = delete;

    uint32_t epoch() const { return epoch_; }
    uint32_t pages() const { return pages_; }      // of 128 bytes, in the dataset
    size_t size() const { return cache_.size(); }  // items in the cache

    // Waits for the cache.
    const std::vector<Item>& cache() const {
        seconds_.wait();
        return cache_;
    }

    // Waits for the cache and returns how long it took.
    double seconds() const { return seconds_.get(); }

    // Ends the making early, with an unusable cache.
    void stop() { stop_ = true; }

private:
    double make();

    const uint32_t epoch_;
    const uint32_t pages_;
    std::vector<Item> cache_;
    std::atomic<bool> stop_{false};
    const std::shared_future<double> seconds_;  // the last member: its destructor waits for the thread, which uses the others
};

// The plain evaluation, step by step as in the specification. Verifies solutions.
Evaluation evaluate(const Light& light, const Hash256& header, uint64_t nonce);

// The fast evaluation for the search: kLanes successive nonces at once, so that memory latencies overlap.
constexpr uint32_t kLanes = 4;
void evaluate_lanes(const Light& light, const Hash256& header, uint64_t first_nonce, Evaluation out[kLanes]);

}  // namespace ethash
