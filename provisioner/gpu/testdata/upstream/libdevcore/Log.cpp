// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "vector_ref.h"

#include "Common.h"

int cleansed(int value)
{
    vector_ref<int> ref{&value, 1};
    ref.cleanse();
    bytes none;
    for (byte b : none)
        value += b;
    return value;
}
