// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "keccak.h"

#include <cstring>

#include "permute.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are read and written as they lie in memory");

namespace ethash {
namespace {

// A round from a to b, by rows of b. Two arrays take turns, so that no lane is moved: a CPU has no room for permute's way,
// which holds the state in registers.
inline void round(const uint64_t a[25], uint64_t b[25], uint64_t constant) {
    constexpr int rotation[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                  25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
    uint64_t column[5], d[5];
    KECCAK_UNROLLED
    for (int x = 0; x < 5; x++) column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    KECCAK_UNROLLED
    for (int x = 0; x < 5; x++) d[x] = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
    KECCAK_UNROLLED
    for (int y = 0; y < 5; y++) {
        uint64_t row[5];
        KECCAK_UNROLLED
        for (int x = 0; x < 5; x++) {
            const int from = (x + 3 * y) % 5, lane = from + 5 * x;  // pi
            row[x] = lane ? rotate(a[lane] ^ d[from], rotation[lane]) : a[0] ^ d[0];
        }
        KECCAK_UNROLLED
        for (int x = 0; x < 5; x++) b[5 * y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
    b[0] ^= constant;
}

// With BMI, chi's "and not" is one instruction.
PER_CPU("bmi")
void permuted(uint64_t a[25]) {
    uint64_t b[25];
    for (int i = 0; i < 24; i += 2) {
        round(a, b, kRoundConstants[i]);
        round(b, a, kRoundConstants[i + 1]);
    }
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
        permuted(state);
        if (last) break;
        in += kRate;
        size -= kRate;
    }
    memcpy(digest, state, kDigest);
}

}  // namespace

void keccak256(const void* data, size_t size, void* digest) { keccak<32>(data, size, digest); }
void keccak512(const void* data, size_t size, void* digest) { keccak<64>(data, size, digest); }

void keccak512_item(const void* item, void* digest) {
    uint64_t state[25] = {};
    memcpy(state, item, 64);
    state[8] = 1 | uint64_t{1} << 63;  // both ends of the padding
    permuted(state);
    memcpy(digest, state, 64);
}

}  // namespace ethash
