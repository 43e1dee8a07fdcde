// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#define MINER_VERSION "0.19.0-reference"
