// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <ethash/ethash.hpp>
#include <libdevcore/Common.h>

struct WorkPackage
{
    int block;
    ethash::hash256 seed;
    int epoch;
};

int epoch_of_seed(const ethash::hash256& seed);
