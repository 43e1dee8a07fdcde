// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The interface of a device (a CPU core or a GPU) for the farm. A new kind is a new file and a line in main.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ethash.h"

struct Job {
    ethash::Hash256 header;
    ethash::Hash256 boundary;
};

struct Solution {
    uint64_t nonce;
    ethash::Hash256 mix;
};

struct DeviceInfo {
    std::string channel;  // two letters, the channel of its lines and the prefix of its number: "cp", "cu"
    std::string thread;   // "cpu-0", "cuda-0"
    std::string id;       // PCI address or equivalent
    std::string type;     // "Cpu", "Gpu"
    std::string mode;     // in the API: "CPU", "CUDA"
    std::string name;
    uint64_t memory = 0;  // free bytes
};

struct Sensors {
    unsigned celsius = 0;
    unsigned fan_percent = 0;
    double watts = 0;
};

class Device {
public:
    virtual ~Device() = default;

    virtual const DeviceInfo& info() const = 0;

    // Difficulty, in hashes, for about one solution every few seconds.
    virtual uint32_t difficulty() const = 0;

    // Called once, in the thread that then searches, while the cache is being made: reserves what the epoch needs. Throws
    // std::runtime_error if the device cannot mine this epoch.
    virtual void open(const ethash::Light&) {}

    // Called once, after open, when the cache is complete. Throws std::runtime_error if the device fails.
    virtual void prepare(const ethash::Light& light) = 0;

    // Tries a batch of successive nonces from first on (well under a second), appends possible solutions, and returns the
    // number of nonces tried. Throws std::runtime_error if the device fails.
    virtual uint64_t search(const Job& job, uint64_t first, std::vector<Solution>& found) = 0;

    virtual Sensors sensors() { return {}; }
};
