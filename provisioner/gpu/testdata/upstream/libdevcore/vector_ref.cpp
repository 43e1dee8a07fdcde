// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "vector_ref.h"

int cleansed(int value)
{
    vector_ref<int> ref{&value, 1};
    ref.cleanse();
    return value;
}
