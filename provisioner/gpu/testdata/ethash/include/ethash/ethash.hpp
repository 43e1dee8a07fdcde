// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <ethash/ethash.h>

namespace ethash
{
struct hash256
{
    unsigned char bytes[32];
};

hash256 calculate_epoch_seed(int epoch_number) noexcept;
int find_epoch_number(const hash256& seed) noexcept;
}  // namespace ethash
