// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <cassert>
#include <cstring>
#include <type_traits>

// GCC 13 and newer take none of the above for <cstdint>.
template <class T>
struct vector_ref
{
    T* data;
    unsigned long count;
    void cleanse()
    {
        assert(data);
        memset((uint8_t*)data, 0, count * sizeof(T));
    }
};
