// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "keccak.h"

#include <cstring>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are read and written as they lie in memory");

namespace ethash {
namespace {

constexpr uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

// Along the path that pi takes from lane 1: the lane that comes next, and its rotation by rho.
constexpr int kPath[24] = {10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1};
constexpr int kRotation[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                               27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};

inline uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

void permute(uint64_t state[25]) {
    uint64_t a[25];
    memcpy(a, state, sizeof a);
    for (const uint64_t constant : kRoundConstants) {
        uint64_t column[5];
#pragma GCC unroll 5
        for (int x = 0; x < 5; x++) column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
#pragma GCC unroll 5
        for (int x = 0; x < 5; x++) {
            const uint64_t d = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
#pragma GCC unroll 5
            for (int y = 0; y < 25; y += 5) a[x + y] ^= d;
        }
        uint64_t moving = a[1];
#pragma GCC unroll 24
        for (int i = 0; i < 24; i++) {
            const uint64_t next = a[kPath[i]];
            a[kPath[i]] = rotate(moving, kRotation[i]);
            moving = next;
        }
#pragma GCC unroll 5
        for (int y = 0; y < 25; y += 5) {
            const uint64_t row[5] = {a[y], a[y + 1], a[y + 2], a[y + 3], a[y + 4]};
#pragma GCC unroll 5
            for (int x = 0; x < 5; x++) a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
        }
        a[0] ^= constant;
    }
    memcpy(state, a, sizeof a);
}

template <size_t kDigest>
inline void keccak(const void* data, size_t size, void* digest) {
    constexpr size_t kRate = 200 - 2 * kDigest;
    uint64_t state[25] = {};
    uint64_t block[kRate / 8];
    auto* in = static_cast<const unsigned char*>(data);
    for (;;) {
        const bool last = size < kRate;
        if (last) {
            memset(block, 0, sizeof block);
            if (size) memcpy(block, in, size);
            reinterpret_cast<unsigned char*>(block)[size] = 0x01;
            block[kRate / 8 - 1] |= uint64_t{1} << 63;
        } else {
            memcpy(block, in, kRate);
        }
        for (size_t i = 0; i < kRate / 8; i++) state[i] ^= block[i];
        permute(state);
        if (last) break;
        in += kRate;
        size -= kRate;
    }
    memcpy(digest, state, kDigest);
}

}  // namespace

void keccak256(const void* data, size_t size, void* digest) { keccak<32>(data, size, digest); }
void keccak512(const void* data, size_t size, void* digest) { keccak<64>(data, size, digest); }

}  // namespace ethash
