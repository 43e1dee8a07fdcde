// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The command line, with ethminer's option names.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

// An invalid command line. what() names the option, its value, and the expected value.
struct BadOption : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

struct Options {
    bool help = false;
    bool version = false;
    bool list_devices = false;

    bool cpu = false;
    bool cuda = false;
    bool benchmark = false;
    uint64_t block = 0;
    std::string pool;  // empty: none

    bool colour = true;
    bool to_stdout = false;
    bool syslog = false;
    bool exit_on_error = false;
    unsigned hwmon = 0;             // 0 nothing, 1 temperature and fan, 2 power too
    unsigned display_interval = 5;  // seconds
    unsigned cpu_threads = 0;       // 0: one per core that this process may use

    bool api = false;
    bool api_read_only = false;
    std::string api_address;
    uint16_t api_port = 0;
};

// Throws BadOption.
Options parse_options(int argc, char** argv);

// What --help prints.
extern const char* const kHelp;
