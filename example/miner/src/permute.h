// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Keccak-f[1600], for the CPU (keccak.cpp) and CUDA devices (cuda.cu).
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define KECCAK_TABLE __constant__ const
#define KECCAK_FUNCTION __device__ inline
#define KECCAK_UNROLLED _Pragma("unroll")
#define KECCAK_ROLLED _Pragma("unroll 1")
#else
#define KECCAK_TABLE constexpr
#define KECCAK_FUNCTION inline
#define KECCAK_UNROLLED _Pragma("GCC unroll 24")
#define KECCAK_ROLLED
#endif

namespace {

KECCAK_TABLE uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

KECCAK_FUNCTION uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

KECCAK_FUNCTION void permute(uint64_t a[25]) {
    // Along the path of pi from lane 1: the next lane, and its rotation by rho. Unrolling the loops removes the tables.
    constexpr int path[24] = {10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1};
    constexpr int rotation[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                  27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
    KECCAK_ROLLED
    for (int round = 0; round < 24; round++) {
        uint64_t column[5];
        KECCAK_UNROLLED
        for (int x = 0; x < 5; x++) column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        KECCAK_UNROLLED
        for (int x = 0; x < 5; x++) {
            const uint64_t d = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
            KECCAK_UNROLLED
            for (int y = 0; y < 25; y += 5) a[x + y] ^= d;
        }
        uint64_t moving = a[1];
        KECCAK_UNROLLED
        for (int i = 0; i < 24; i++) {
            const uint64_t next = a[path[i]];
            a[path[i]] = rotate(moving, rotation[i]);
            moving = next;
        }
        KECCAK_UNROLLED
        for (int y = 0; y < 25; y += 5) {
            const uint64_t row[5] = {a[y], a[y + 1], a[y + 2], a[y + 3], a[y + 4]};
            KECCAK_UNROLLED
            for (int x = 0; x < 5; x++) a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
        }
        a[0] ^= kRoundConstants[round];
    }
}

}  // namespace
