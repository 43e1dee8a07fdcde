// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <json/json.h>

Json::Value getstat1(int restarts);
