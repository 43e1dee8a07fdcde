// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "keccak.h"

#include <cstring>
#include <ethash/ethash.hpp>

namespace ethash
{
static hash256 keccak256(const hash256& in) noexcept
{
    hash256 out;
    keccak256(in.bytes, sizeof(in.bytes), out.bytes);
    return out;
}

hash256 calculate_epoch_seed(int epoch_number) noexcept
{
    hash256 epoch_seed = {};
    for (int i = 0; i < epoch_number; ++i)
        epoch_seed = keccak256(epoch_seed);
    return epoch_seed;
}

int find_epoch_number(const hash256& seed) noexcept
{
    hash256 s = {};
    for (int i = 0; i < 2048; ++i)
    {
        if (std::memcmp(s.bytes, seed.bytes, sizeof(s.bytes)) == 0)
            return i;
        s = keccak256(s);
    }
    return -1;
}
}  // namespace ethash
