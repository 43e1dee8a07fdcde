// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <libethcore/EthashAux.h>
#include <libethcore/Farm.h>

// The epoch of a job: of its block where the pool names it, else of its seed.
int epoch_of(WorkPackage job);
