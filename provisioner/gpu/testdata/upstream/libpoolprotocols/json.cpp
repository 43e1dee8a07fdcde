// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <json/json.h>

int main()
{
    Json::Value value;
    value["result"] = 1;
    return value["result"].asInt() - 1;
}
