// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The JSON-RPC 2.0 API over TCP: one request and one response per line.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "farm.h"

class Api {
public:
    // Listens on a numeric address. Throws std::runtime_error on failure.
    Api(const std::string& address, uint16_t port, bool read_only, Farm& farm);
    ~Api();

private:
    void serve();

    Farm& farm_;
    const bool read_only_;
    int listener_ = -1;
    int wake_[2] = {-1, -1};  // closing the other end stops serve()
    std::thread thread_;
};

// Returns the response to one line, without the line end.
std::string answer(const std::string& request, bool read_only, Farm& farm);
