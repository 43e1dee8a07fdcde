// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "wrapnvml.h"

#include <dlfcn.h>

bool nvml_loads()
{
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (library)
        dlclose(library);
    return library;
}
