// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "ApiServer.h"

#include <ethminer/buildinfo.h>

#include <libethcore/Farm.h>

Json::Value getstat1(int restarts)
{
    Json::Value value;
    value["version"] = ethminer_version();
    value["restarts"] = restarts;
    return value;
}
