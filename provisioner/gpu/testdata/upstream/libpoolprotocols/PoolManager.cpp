// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "PoolManager.h"

int epoch_of(WorkPackage m_currentWp)
{
    if (m_currentWp.block >= 0)
        m_currentWp.epoch = m_currentWp.block / 30000;
    else
        m_currentWp.epoch = ethash::find_epoch_number(
            m_currentWp.seed);
    return m_currentWp.epoch;
}
