// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The subset of JSON (RFC 8259) that JSON-RPC requests use.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace json {

struct Value {
    enum Kind { kNull, kBool, kNumber, kString, kArray, kObject };
    Kind kind = kNull;
    std::string raw;   // as written
    std::string text;  // string value, unquoted and unescaped
    std::vector<Value> items;
    std::vector<std::pair<std::string, Value>> members;

    // Returns nullptr if this is not an object or has no such member.
    const Value* find(const std::string& name) const;
};

// Returns false if in is not exactly one JSON value or has more than 32 levels.
bool parse(const std::string& in, Value& out);

// A string literal.
std::string quote(const std::string& text);

}  // namespace json
