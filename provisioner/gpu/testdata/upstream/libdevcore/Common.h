// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <string>
#include <vector>

using namespace std;

// C++17 has a byte of its own in std.
using byte = unsigned char;
using bytes = vector<byte>;
