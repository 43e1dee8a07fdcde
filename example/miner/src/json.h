// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// As much JSON (RFC 8259) as a JSON-RPC request needs.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace json {

struct Value {
    enum Kind { kNull, kBool, kNumber, kString, kArray, kObject };
    Kind kind = kNull;
    std::string raw;   // as it was written
    std::string text;  // of a string, without quotes and escapes
    std::vector<Value> items;
    std::vector<std::pair<std::string, Value>> members;

    // nullptr if this is no object or has no such member.
    const Value* find(const std::string& name) const;
};

// False if in is not exactly one JSON value, or is nested more than 32 deep.
bool parse(const std::string& in, Value& out);

// A string literal.
std::string quote(const std::string& text);

}  // namespace json
