// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#define ETHASH_EPOCH_LENGTH 30000
