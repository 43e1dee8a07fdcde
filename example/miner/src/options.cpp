// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "options.h"

#include <cerrno>
#include <cstdlib>

#include "ethash.h"
#include "pool.h"

const char* const kHelp =
    R"(Usage: ethminer --cpu|-U -M BLOCK|-P POOL [OPTIONS]

A reference miner that replaces ethminer in tests: it computes real Ethash (or
Etchash, in builds with -DETCHASH=ON) and has ethminer's command line, log lines
and API. It is not suitable for production.

Mining:
  -M,--benchmark,-Z,--simulation BLOCK
                        mine the epoch of this block until interrupted; BLOCK is
                        0 to the last block of epoch 2047; an epoch has 30000
                        blocks (60000 in builds with -DETCHASH=ON)
  -P,--pool stratum1+tcp://USER[.WORKER][:PASSWORD]@HOST:PORT
                        mine at a pool that uses the eth-proxy protocol

Devices:
  --cpu                 the CPU, from the light cache
  -U,--cuda             CUDA devices (in builds with -DETHASHCUDA=ON)
  -t,--cpu-threads N    cores to use, 1 to 1024; default: all
  --list-devices        list the devices and exit

Output:
  --nocolor             no colors (same as the environment variable NO_COLOR)
  --stdout              log to stdout; default: to stderr
  --syslog              no line prefix, no colors
  --HWMON N             sensors in status lines: 0 none (default), 1 temperature
                        and fan, 2 power too; a CPU reports zeros
  --display-interval N  seconds between status lines, 1 to 1800; default 5; rates
                        are averages over this interval
  --exit                exit as soon as a device fails

  --api-bind ADDR:PORT  JSON-RPC API at this address; a negative port is read-only

  -V,--version          print the version and exit
  -h,--help             print this and exit

Exit codes: 0 ended on request, 1 invalid arguments, 2 cannot run, 3 other errors.
)";

namespace {

uint64_t number(const std::string& option, const std::string& value, uint64_t least, uint64_t most) {
    char* end = nullptr;
    errno = 0;
    const uint64_t n = strtoull(value.c_str(), &end, 10);
    const bool digits = !value.empty() && value[0] >= '0' && value[0] <= '9';
    if (!digits || *end || errno || n < least || n > most)
        throw BadOption(option + ": \"" + value + "\" is not a whole number from " + std::to_string(least) + " to " +
                        std::to_string(most));
    return n;
}

void parse_api_bind(const std::string& option, const std::string& value, Options& options) {
    const size_t colon = value.rfind(':');
    if (colon == std::string::npos || colon == 0)
        throw BadOption(option + ": \"" + value + "\" is not ADDR:PORT, as in 127.0.0.1:3333");
    std::string port = value.substr(colon + 1);
    options.api = true;
    options.api_read_only = !port.empty() && port[0] == '-';
    if (options.api_read_only) port.erase(0, 1);
    options.api_port = static_cast<uint16_t>(number(option, port, 1, 65535));
    options.api_address = value.substr(0, colon);
    if (options.api_address.front() == '[' && options.api_address.back() == ']')
        options.api_address = options.api_address.substr(1, options.api_address.size() - 2);
}

}  // namespace

Options parse_options(int argc, char** argv) {
    Options options;
    if (const char* no_colour = getenv("NO_COLOR"); no_colour && *no_colour) options.colour = false;

    for (int i = 1; i < argc; i++) {
        // --name, --name=value, -n, -nvalue
        std::string name = argv[i], attached;
        bool has_attached = false;
        if (name.size() > 2 && name[0] == '-' && name[1] != '-') {
            attached = name.substr(name[2] == '=' ? 3 : 2);
            name.resize(2);
            has_attached = true;
        } else if (const size_t equals = name.find('='); name.compare(0, 2, "--") == 0 && equals != std::string::npos) {
            attached = name.substr(equals + 1);
            name.resize(equals);
            has_attached = true;
        }
        const auto is = [&](const char* one, const char* other = "") { return name == one || name == other; };
        const auto value = [&]() -> std::string {
            if (has_attached) {
                has_attached = false;
                return attached;
            }
            if (i + 1 >= argc) throw BadOption(name + " needs a value");
            return argv[++i];
        };

        if (is("-h", "--help")) options.help = true;
        else if (is("-V", "--version")) options.version = true;
        else if (is("--list-devices")) options.list_devices = true;
        else if (is("--cpu")) options.cpu = true;
        else if (is("-U", "--cuda")) options.cuda = true;
        else if (is("--nocolor")) options.colour = false;
        else if (is("--stdout")) options.to_stdout = true;
        else if (is("--syslog")) options.syslog = true;
        else if (is("--exit")) options.exit_on_error = true;
        else if (is("-M", "--benchmark") || is("-Z", "--simulation")) {
            options.benchmark = true;
            options.block = number(name, value(), 0, (ethash::kMaxEpoch + uint64_t{1}) * ethash::kEpochLength - 1);
        } else if (is("-t", "--cpu-threads")) options.cpu_threads = static_cast<unsigned>(number(name, value(), 1, 1024));
        else if (is("--HWMON")) options.hwmon = static_cast<unsigned>(number(name, value(), 0, 2));
        else if (is("--display-interval")) options.display_interval = static_cast<unsigned>(number(name, value(), 1, 1800));
        else if (is("--api-bind")) parse_api_bind(name, value(), options);
        else if (is("-P", "--pool")) {
            options.pool = value();
            try {
                parse_pool(options.pool);
            } catch (const std::invalid_argument& error) {
                throw BadOption(name + ": " + error.what());
            }
        }
        else if (is("-G", "--opencl"))
            throw BadOption(name + ": this is the reference miner, which has no OpenCL; use --cpu");
        else throw BadOption(std::string("the following argument was not expected: ") + argv[i]);

        if (has_attached) throw BadOption(name + " takes no value, got \"" + attached + "\"");
    }

#ifndef ETHASHCUDA
    if (options.cuda) throw BadOption("-U,--cuda: this build has no CUDA (it was configured without -DETHASHCUDA=ON); use --cpu");
#endif
#ifndef ETHASHCPU
    if (options.cpu) throw BadOption("--cpu: this build mines on no CPU (it was configured with -DETHASHCPU=OFF)");
#endif
#ifndef APICORE
    if (options.api) throw BadOption("--api-bind: this build has no API (it was configured with -DAPICORE=OFF)");
#endif
    const bool will_mine = !options.help && !options.version && !options.list_devices;
    if (will_mine && options.benchmark == !options.pool.empty()) throw BadOption("nothing to mine, or two things: give either -M BLOCK or -P POOL");
    return options;
}
