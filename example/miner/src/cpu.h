// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// CPU cores as devices.
#pragma once

#include <memory>
#include <vector>

#include "device.h"

// Returns one device per core that this process may use, or as many as wanted (0: all of them).
std::vector<std::unique_ptr<Device>> cpu_devices(unsigned wanted);
