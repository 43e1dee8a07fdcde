// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// CUDA devices: the dataset is made and kept in a GPU's memory, where the search reads it.
#pragma once

#include <memory>
#include <vector>

#include "device.h"

// One device for each GPU that the driver lists, in the order that CUDA_DEVICE_ORDER sets. Where there is no driver, or one
// that is too old, that is logged, and there are none.
std::vector<std::unique_ptr<Device>> cuda_devices();
