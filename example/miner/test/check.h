// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Checks that report the location of a failure and continue.
#pragma once

#include <cstdio>
#include <string>

inline int failures = 0;

inline void check_equal(const char* file, int line, const std::string& what, const std::string& got, const std::string& wanted) {
    if (got == wanted) return;
    failures++;
    fprintf(stderr, "%s:%d: %s:\n  got    %s\n  wanted %s\n", file, line, what.c_str(), got.c_str(), wanted.c_str());
}

#define CHECK_EQUAL(what, got, wanted) check_equal(__FILE__, __LINE__, what, got, wanted)
#define CHECK(condition) check_equal(__FILE__, __LINE__, #condition, (condition) ? "true" : "false", "true")

inline std::string hex(const void* data, size_t size) {
    std::string out;
    char two[3];
    for (size_t i = 0; i < size; i++) {
        snprintf(two, sizeof two, "%02x", static_cast<const unsigned char*>(data)[i]);
        out += two;
    }
    return out;
}
