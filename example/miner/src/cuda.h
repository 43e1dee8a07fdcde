// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// CUDA devices: generate the dataset in GPU memory and search it there.
#pragma once

#include <memory>
#include <vector>

#include "device.h"

// Returns one device per GPU of the driver, in the order of CUDA_DEVICE_ORDER. Logs a missing or outdated driver and
// returns no devices.
std::vector<std::unique_ptr<Device>> cuda_devices();
