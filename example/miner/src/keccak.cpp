// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "keccak.h"

#include <cstring>

#include "permute.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are read and written as they lie in memory");

namespace ethash {
namespace {

// Works on a copy, which the compiler can keep in registers.
inline void permuted(uint64_t state[25]) {
    uint64_t a[25];
    memcpy(a, state, sizeof a);
    permute(a);
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

}  // namespace ethash
