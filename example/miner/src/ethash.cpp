// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "ethash.h"

#include <sys/mman.h>

#include <chrono>
#include <cstring>

#include "keccak.h"

namespace ethash {
namespace {

bool is_prime(uint64_t n) {
    if (n < 4) return n > 1;
    if (n % 2 == 0) return false;
    for (uint64_t d = 3; d * d <= n; d += 2)
        if (n % d == 0) return false;
    return true;
}

// The largest size below limit that is a prime number of units.
uint64_t prime_size(uint64_t limit, uint64_t unit) {
    uint64_t size = limit - unit;
    while (!is_prime(size / unit)) size -= 2 * unit;
    return size;
}

// Returns zeroed items, in huge pages where the system has some: random reads miss the TLB less often.
std::vector<Item> huge_pages(size_t count) {
    constexpr uintptr_t kPage = 1u << 21;
    std::vector<Item> items;
    items.reserve(count);
#ifdef MADV_HUGEPAGE
    const auto begin = reinterpret_cast<uintptr_t>(items.data()), first = (begin + kPage - 1) / kPage * kPage;
    const auto end = begin + count * sizeof(Item);
    if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
    items.resize(count);
    return items;
}

inline uint32_t fnv(uint32_t a, uint32_t b) { return a * 0x01000193 ^ b; }

Item dataset_item(const std::vector<Item>& cache, uint32_t index) {
    const auto size = static_cast<uint32_t>(cache.size());
    Item mix = cache[index % size];
    mix.words[0] ^= index;
    keccak512_item(mix.words, mix.words);
    for (uint32_t j = 0; j < kParents; j++) {
        const Item& parent = cache[fnv(index ^ j, mix.words[j % 16]) % size];
        for (int w = 0; w < 16; w++) mix.words[w] = fnv(mix.words[w], parent.words[w]);
    }
    keccak512_item(mix.words, mix.words);
    return mix;
}

Item seed_of(const Hash256& header, uint64_t nonce) {
    uint8_t in[40];
    memcpy(in, header.bytes, 32);
    for (int i = 0; i < 8; i++) in[32 + i] = static_cast<uint8_t>(nonce >> 8 * i);
    Item seed;
    keccak512(in, sizeof in, seed.words);
    return seed;
}

Evaluation finish(const Item& seed, const uint32_t mix[32]) {
    uint32_t in[24];
    memcpy(in, seed.words, 64);
    for (int i = 0; i < 8; i++) in[16 + i] = fnv(fnv(fnv(mix[4 * i], mix[4 * i + 1]), mix[4 * i + 2]), mix[4 * i + 3]);
    Evaluation out;
    memcpy(out.mix.bytes, in + 16, 32);
    keccak256(in, sizeof in, out.result.bytes);
    return out;
}

}  // namespace

uint64_t dataset_bytes(uint32_t epoch) { return prime_size((uint64_t{1} << 30) + (uint64_t{epoch} << 23), 128); }
uint64_t cache_bytes(uint32_t epoch) { return prime_size((uint64_t{1} << 24) + (uint64_t{epoch} << 17), 64); }

Hash256 seed_hash(uint32_t epoch) {
    Hash256 seed = {};
    for (uint64_t rounds = epoch * (kEpochLength / kSeedLength); rounds > 0; rounds--) keccak256(seed.bytes, 32, seed.bytes);
    return seed;
}

Hash256 boundary(uint32_t difficulty) {
    Hash256 out;
    uint64_t rest = 0;
    for (uint8_t& byte : out.bytes) {
        rest = rest << 8 | 0xff;
        byte = static_cast<uint8_t>(rest / difficulty);
        rest %= difficulty;
    }
    return out;
}

double difficulty(const Hash256& boundary) {
    double value = 0;
    for (int i = 31; i >= 0; i--) value = (value + boundary.bytes[i]) / 256;
    return value > 0 ? 1 / value : 0;
}

bool at_or_below(const Hash256& result, const Hash256& boundary) {
    return memcmp(result.bytes, boundary.bytes, sizeof result.bytes) <= 0;
}

Light::Light(uint32_t epoch, uint32_t pages)
    : epoch_(epoch), pages_(pages ? pages : static_cast<uint32_t>(dataset_bytes(epoch) / 128)),
      cache_(huge_pages(cache_bytes(epoch) / 64)), seconds_(std::async(std::launch::async, [this] { return make(); })) {}

double Light::make() {
    constexpr uint32_t kAhead = 4;  // a permutation is too long for the processor to see the next item's reads
    const auto begin = std::chrono::steady_clock::now();
    const auto size = static_cast<uint32_t>(cache_.size());
    const Hash256 seed = seed_hash(epoch_);
    keccak512(seed.bytes, 32, cache_[0].words);
    for (uint32_t i = 1; i < size && !stop_; i++) keccak512_item(cache_[i - 1].words, cache_[i].words);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < size && !stop_; i++) {
            if (i + kAhead < size) __builtin_prefetch(&cache_[cache_[i + kAhead].words[0] % size]);
            const Item& before = cache_[i ? i - 1 : size - 1];
            const Item& other = cache_[cache_[i].words[0] % size];
            Item sum;
            for (int w = 0; w < 16; w++) sum.words[w] = before.words[w] ^ other.words[w];
            keccak512_item(sum.words, cache_[i].words);
        }
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Evaluation evaluate(const Light& light, const Hash256& header, uint64_t nonce) {
    const Item seed = seed_of(header, nonce);
    const std::vector<Item>& cache = light.cache();
    uint32_t mix[32];
    memcpy(mix, seed.words, 64);
    memcpy(mix + 16, seed.words, 64);
    for (uint32_t i = 0; i < kAccesses; i++) {
        const uint32_t page = fnv(i ^ seed.words[0], mix[i % 32]) % light.pages();
        const Item low = dataset_item(cache, 2 * page);
        const Item high = dataset_item(cache, 2 * page + 1);
        for (int w = 0; w < 16; w++) mix[w] = fnv(mix[w], low.words[w]);
        for (int w = 0; w < 16; w++) mix[w + 16] = fnv(mix[w + 16], high.words[w]);
    }
    return finish(seed, mix);
}

// Computes 2 * kLanes dataset items in lockstep, so that every step has that many loads in flight.
PER_CPU("avx512f", "avx2")
static void dataset_items(const Item* cache, uint32_t size, const uint32_t index[2 * kLanes], Item mix[2 * kLanes]) {
    constexpr uint32_t kItems = 2 * kLanes;
    for (uint32_t k = 0; k < kItems; k++) {
        mix[k] = cache[index[k] % size];
        mix[k].words[0] ^= index[k];
        keccak512_item(mix[k].words, mix[k].words);
    }
    for (uint32_t j = 0; j < kParents; j++) {
        const Item* parent[kItems];
        for (uint32_t k = 0; k < kItems; k++) {
            parent[k] = cache + fnv(index[k] ^ j, mix[k].words[j % 16]) % size;
            __builtin_prefetch(parent[k]);
        }
        for (uint32_t k = 0; k < kItems; k++)
            for (int w = 0; w < 16; w++) mix[k].words[w] = fnv(mix[k].words[w], parent[k]->words[w]);
    }
    for (uint32_t k = 0; k < kItems; k++) keccak512_item(mix[k].words, mix[k].words);
}

void evaluate_lanes(const Light& light, const Hash256& header, uint64_t first_nonce, Evaluation out[kLanes]) {
    const Item* cache = light.cache().data();
    Item seed[kLanes];
    uint32_t mix[kLanes][32];
    for (uint32_t lane = 0; lane < kLanes; lane++) {
        seed[lane] = seed_of(header, first_nonce + lane);
        for (int w = 0; w < 32; w++) mix[lane][w] = seed[lane].words[w % 16];
    }
    for (uint32_t i = 0; i < kAccesses; i++) {
        uint32_t index[2 * kLanes];
        Item item[2 * kLanes];
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            const uint32_t page = fnv(i ^ seed[lane].words[0], mix[lane][i % 32]) % light.pages();
            index[2 * lane] = 2 * page;
            index[2 * lane + 1] = 2 * page + 1;
        }
        dataset_items(cache, static_cast<uint32_t>(light.size()), index, item);
        for (uint32_t lane = 0; lane < kLanes; lane++)
            for (int w = 0; w < 32; w++) mix[lane][w] = fnv(mix[lane][w], item[2 * lane + w / 16].words[w % 16]);
    }
    for (uint32_t lane = 0; lane < kLanes; lane++) out[lane] = finish(seed[lane], mix[lane]);
}

}  // namespace ethash
