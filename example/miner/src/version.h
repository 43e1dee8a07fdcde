// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#define MINER_VERSION "0.19.0-reference"

#ifdef NDEBUG
#define MINER_BUILD_TYPE "release"
#else
#define MINER_BUILD_TYPE "debug"
#endif
#ifdef __clang__
#define MINER_COMPILER "clang"
#else
#define MINER_COMPILER "gnu"
#endif
