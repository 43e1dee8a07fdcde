// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <libethcore/Farm.h>

#include "CPUMiner.h"

#include <thread>

int cpu_devices()
{
    return static_cast<int>(std::thread::hardware_concurrency());
}
