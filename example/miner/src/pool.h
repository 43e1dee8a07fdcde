// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// A pool with the oldest stratum protocol (eth-proxy): one JSON object per line over TCP. eth_submitLogin once,
// eth_getWork for the first job, then the pool sends jobs at any time; eth_submitWork for each solution.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "device.h"

// stratum1+tcp://USER[.WORKER][:PASSWORD]@HOST:PORT, with %XX for reserved characters.
struct PoolAddress {
    std::string user, worker, password, host, port;

    std::string where() const { return host + ":" + port; }
};

// Throws std::invalid_argument that names the expected format.
PoolAddress parse_pool(const std::string& url);

class Pool {
public:
    // Callbacks for jobs and solutions. Called from the pool's thread.
    struct Listener {
        std::function<void(const Job&)> job;
        std::function<void(size_t device, bool accepted, double milliseconds)> settled;
        std::function<void()> lost;
    };

    // Connects, logs in, and waits for the first job. Throws std::runtime_error.
    explicit Pool(PoolAddress address);
    ~Pool();

    const Job& job() const { return job_; }
    uint32_t epoch() const { return epoch_; }
    std::string where() const { return address_.where(); }
    // Reason why the connection ended; empty while it is open.
    std::string why_lost();

    void listen(Listener listener);

    // Ends the connection and all waits for the pool.
    void hang_up();

    void submit(size_t device, const Job& job, const Solution& solution);

private:
    struct Sent {
        size_t device;
        std::chrono::steady_clock::time_point when;
    };

    void connect();
    // params is a JSON list.
    void ask(int id, const char* method, const std::string& params);
    // Returns false at the end of the connection, or after seconds without a line.
    bool read_line(std::string& line, int seconds);
    std::string call(const char* method, const std::string& params, int id);
    bool take_job(const std::string& line);
    void serve();

    const PoolAddress address_;
    int socket_ = -1;
    std::string in_;
    Job job_{};
    uint32_t epoch_ = 0;
    Listener listener_;
    std::thread thread_;
    std::atomic<bool> stop_{false};

    std::mutex sending_;  // serializes lines
    std::mutex mutex_;
    std::map<int, Sent> sent_;
    int next_id_ = 10;
    std::string why_lost_;
};
