// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Log lines with ethminer's prefix: channel, time of day, thread. One write per line, so that lines never interleave.
#pragma once

#include <cstdint>
#include <string>

namespace logging {

struct Settings {
    bool to_stdout = false;  // stderr otherwise
    bool colour = true;
    bool time = true;  // false: no prefix, for a system log
};

// Channels, the first word of a line.
constexpr const char* kNote = " i";
constexpr const char* kWarning = " X";
constexpr const char* kStatus = " m";

// Call before other threads start.
void configure(const Settings& settings);

// Sets the calling thread's name in its lines.
void name_thread(const std::string& name);

[[gnu::format(printf, 2, 3)]] void line(const char* channel, const char* format, ...);

// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...);

// A rate in h, Kh, Mh or Gh, in steps of 1000.
struct Scale {
    double divisor;
    const char* unit;
};
Scale scale_of(double hashes_per_second);
std::string rate(double hashes_per_second, int decimals);

// A size in B, KB, MB, GB or TB, in steps of 1024, with two decimals.
std::string size(uint64_t bytes);

}  // namespace logging
