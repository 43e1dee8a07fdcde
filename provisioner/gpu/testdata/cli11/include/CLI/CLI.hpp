// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <initializer_list>
#include <string>

namespace CLI
{
// What version 2 has no more.
struct App
{
    explicit App(const std::string&) {}
    void add_set(const std::string&, int&, std::initializer_list<int>) {}
};
}  // namespace CLI
