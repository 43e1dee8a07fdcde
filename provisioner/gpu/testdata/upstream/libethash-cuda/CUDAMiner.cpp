// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <libethcore/Farm.h>

#include <cuda_runtime.h>

#include "CUDAMiner.h"
#include "kernel.h"

int cuda_devices()
{
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess)
        return 0;
    return devices + touched();
}
