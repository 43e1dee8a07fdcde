// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The JSON-RPC 2.0 API: one request a line over TCP, one answer a line.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "farm.h"

class Api {
public:
    // Listens on address, which is a number and never a name. Throws std::runtime_error if it cannot.
    Api(const std::string& address, uint16_t port, bool read_only, Farm& farm);
    ~Api();

private:
    void serve();

    Farm& farm_;
    const bool read_only_;
    int listener_ = -1;
    int wake_[2] = {-1, -1};  // closing its far end stops serve()
    std::thread thread_;
};

// The answer to one line, without the line's end.
std::string answer(const std::string& request, bool read_only, Farm& farm);
