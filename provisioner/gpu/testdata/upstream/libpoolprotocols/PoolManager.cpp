// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <ethash/ethash.hpp>

struct WorkPackage
{
    int block;
    ethash::hash256 seed;
    int epoch;
};

// From the block where the pool names it, else from the seed.
int epoch_of(WorkPackage m_currentWp)
{
    if (m_currentWp.block >= 0)
        m_currentWp.epoch = m_currentWp.block / 30000;
    else
        m_currentWp.epoch = ethash::find_epoch_number(
            m_currentWp.seed);
    return m_currentWp.epoch;
}

int epoch_of_block(int block)
{
    return epoch_of({block, {}, -1});
}

int epoch_of_seed(const ethash::hash256& seed)
{
    return epoch_of({-1, seed, -1});
}
