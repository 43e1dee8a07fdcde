// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The farm: one thread per device, their common job, and their statistics.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "device.h"

using Clock = std::chrono::steady_clock;

struct Shares {
    uint64_t accepted = 0;
    uint64_t rejected = 0;         // by the pool
    uint64_t failed = 0;           // did not verify
    Clock::time_point last = {};   // the last one that was accepted
};

struct DeviceStatus {
    const DeviceInfo* info;
    double rate;  // hashes a second
    bool paused;
    std::string suspended;  // reason why it does not mine, or empty
    Sensors sensors;
    Shares shares;
    uint64_t first_nonce, last_nonce;
};

struct Status {
    double rate;  // hashes a second
    std::chrono::seconds running;
    uint64_t accepted, rejected, failed;
    Clock::time_point last;
    uint32_t epoch;
    double difficulty;  // hashes per solution
    std::vector<DeviceStatus> devices;
};

class Farm {
public:
    struct Settings {
        std::chrono::seconds window{5};  // length of the window for rates
        void (*on_failure)() = nullptr;  // called when a device fails
        // A pool's job and address; without them the farm creates a job and simulates a pool.
        const Job* job = nullptr;
        std::string where = "localhost:0";
        // Submits a verified solution to the pool, which responds later.
        std::function<void(size_t device, const Job& job, const Solution& solution)> submit;
    };

    // light outlives the farm.
    Farm(ethash::Light& light, std::vector<std::unique_ptr<Device>> devices, Settings settings);
    ~Farm() { stop(); }

    void start();
    void stop();

    // Reads the counters and updates the rates. Call once per second.
    void sample();

    // Sets a new job of the pool.
    void set_job(const Job& job);

    bool simulates() const { return !settings_.submit; }
    const std::string& where() const { return settings_.where; }

    // Records the pool's response to a solution.
    void settle(size_t device, bool accepted, double milliseconds);

    Status status();

    // Returns false if there is no such device.
    bool pause(size_t device, bool paused);

    // Over the whole run, in hashes per second: the best sample; all hashes divided by the time since the first device
    // began.
    double best() const { return best_; }
    double mean();

private:
    struct Slot {
        std::unique_ptr<Device> device;
        std::thread thread;
        std::atomic<uint64_t> hashes{0};
        std::atomic<bool> paused{false};
        uint64_t first_nonce = 0;
        Shares shares;          // under mutex_
        std::string suspended;  // under mutex_
    };
    struct Sample {
        Clock::time_point time;
        std::vector<uint64_t> hashes;
    };

    void work(size_t number);
    void mine(size_t number);
    void submit(size_t number, const Job& job, const Solution& solution);
    Job job();
    void choose_job();
    void await_light();
    Sample count() const;

    ethash::Light& light_;
    const Settings settings_;
    std::vector<std::unique_ptr<Slot>> slots_;
    Job job_;  // under mutex_
    double difficulty_ = 0;  // under mutex_
    Clock::time_point started_;
    std::atomic<bool> stop_{false};

    std::once_flag light_once_;

    std::mutex mutex_;
    std::vector<Sample> samples_;  // the first one is at the start of the window
    Sample mining_since_;          // when the first device began
    double best_ = 0;
};
