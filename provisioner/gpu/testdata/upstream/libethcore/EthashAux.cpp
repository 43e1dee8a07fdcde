// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "EthashAux.h"

int epoch_of_seed(const ethash::hash256& seed)
{
    return ethash::find_epoch_number(seed);
}
