// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// A reference miner that replaces ethminer in tests: see README.md.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <iterator>
#include <stdexcept>

#include "api.h"
#include "cpu.h"
#ifdef ETHASHCUDA
#include "cuda.h"
#endif
#include "farm.h"
#include "log.h"
#include "options.h"
#include "pool.h"
#include "version.h"

using logging::kNote;
using logging::text;

namespace {

void print_version() {
    printf("\nethminer " MINER_VERSION "\n"
           "Build: linux/" MINER_BUILD_TYPE "/" MINER_COMPILER "\n"
           "Reference miner of packer-plugin-ethminer: a stand-in that computes real Ethash, not ethminer itself.\n\n");
    fflush(stdout);
}

std::vector<std::unique_ptr<Device>> find_devices(const Options& options, bool every_kind) {
    std::vector<std::unique_ptr<Device>> devices;
#ifdef ETHASHCUDA
    if (options.cuda || every_kind) devices = cuda_devices();
#endif
#ifdef ETHASHCPU
    if (options.cpu || every_kind) {
        auto cores = cpu_devices(options.cpu_threads);
        std::move(cores.begin(), cores.end(), std::back_inserter(devices));
    }
#endif
    (void)options, (void)every_kind;
    return devices;
}

void list_devices(const Options& options) {
    printf("%4s %-10s%-5s%-40s%14s\n", "Id", "Pci Id", "Type", "Name", "Total Memory");
    printf("%4s %-10s%-5s%-40s%14s\n", "---", "---------", "----", "---------------------------------------", "------------");
    size_t id = 0;
    for (const auto& device : find_devices(options, !options.cpu && !options.cuda)) {
        const DeviceInfo& info = device->info();
        printf("%4zu %-10s%-5s%-40.39s%14s\n", id++, info.id.c_str(), info.type.c_str(), info.name.c_str(),
               logging::size(info.memory).c_str());
    }
}

// Formats "0:07 A12:F1 1.63 Kh - cp0 0.81, cp1 0.82": all rates have the farm's unit.
std::string status_line(const Status& status, unsigned hwmon) {
    const auto minutes = status.running.count() / 60;
    const logging::Scale scale = logging::scale_of(status.rate);
    std::string out = text("%lld:%02lld A%" PRIu64, static_cast<long long>(minutes / 60), static_cast<long long>(minutes % 60),
                           status.accepted);
    if (status.rejected) out += text(":R%" PRIu64, status.rejected);
    if (status.failed) out += text(":F%" PRIu64, status.failed);
    out += text(" %.2f %s", status.rate / scale.divisor, scale.unit);
    for (size_t i = 0; i < status.devices.size(); i++) {
        const DeviceStatus& device = status.devices[i];
        out += text("%s %s%zu %.2f", i ? "," : " -", device.info->channel.c_str(), i, device.rate / scale.divisor);
        if (hwmon >= 1) out += text(" %uC %u%%", device.sensors.celsius, device.sensors.fan_percent);
        if (hwmon >= 2) out += text(" %.2fW", device.sensors.watts);
    }
    return out;
}

// Runs until an interrupt: reads the counters once per second, prints a status line once per interval.
void mine(const Options& options, const sigset_t& ending) {
    Farm::Settings settings;
    auto epoch = static_cast<uint32_t>(options.block / ethash::kEpochLength);
    std::unique_ptr<Pool> pool;
    if (!options.pool.empty()) {
        // Until the pool has responded, an interrupt can end the process immediately.
        const auto leave = [](int) { _exit(0); };
        signal(SIGINT, leave), signal(SIGTERM, leave);
        pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
        pool = std::make_unique<Pool>(parse_pool(options.pool));
        pthread_sigmask(SIG_BLOCK, &ending, nullptr);
        epoch = pool->epoch();
        settings.job = &pool->job();
        settings.where = pool->where();
        settings.submit = [&](size_t device, const Job& job, const Solution& found) { pool->submit(device, job, found); };
    }
    ethash::Light light(epoch);  // in its own thread, while the devices start
    auto devices = find_devices(options, false);
    if (devices.empty()) throw std::runtime_error("No usable mining devices found");
    settings.window = std::chrono::seconds(options.display_interval);
    if (options.exit_on_error) settings.on_failure = [] { kill(getpid(), SIGTERM); };
    Farm farm(light, std::move(devices), settings);
#ifdef APICORE
    std::unique_ptr<Api> api;
    if (options.api) api = std::make_unique<Api>(options.api_address, options.api_port, options.api_read_only, farm);
#endif
    farm.start();
    if (pool)
        pool->listen({[&](const Job& job) { farm.set_job(job); },
                      [&](size_t device, bool accepted, double ms) { farm.settle(device, accepted, ms); },
                      [] { kill(getpid(), SIGTERM); }});

    auto next = Clock::now();
    for (unsigned second = 1;; second++) {
        next += std::chrono::seconds(1);
        int signal;
        do {
            auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now()).count();
            if (left < 0) left = 0;
            const timespec wait{static_cast<time_t>(left / 1000000000), static_cast<long>(left % 1000000000)};
            signal = sigtimedwait(&ending, nullptr, &wait);
        } while (signal < 0 && errno == EINTR);
        if (signal > 0) break;
        farm.sample();
        if (second % options.display_interval == 0)
            logging::line(logging::kStatus, "%s", status_line(farm.status(), options.hwmon).c_str());
    }
    logging::name_thread("main");
    logging::line(kNote, "Got interrupt ...");
    if (pool) pool->hang_up();  // otherwise a device's thread could wait for it
    farm.stop();
    const std::string why_lost = pool ? pool->why_lost() : "";
    pool.reset();
    if (!why_lost.empty()) throw std::runtime_error(why_lost);
    if (!options.pool.empty()) return logging::line(kNote, "Terminated!");
    const double mean = farm.mean();
    logging::line(kNote, "Simulation results : Max %s Mean %s", logging::rate(std::max(farm.best(), mean), 6).c_str(),
                  logging::rate(mean, 6).c_str());
    logging::line(kNote, "Terminated!");
}

int run(int argc, char** argv) {
    const Options options = parse_options(argc, argv);
    if (options.help) return fputs(kHelp, stdout), 0;
    print_version();
    if (options.version) return 0;
    if (options.list_devices) return list_devices(options), 0;

    // Blocked here and thus in every thread; mine() receives them one at a time.
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    // A closed log must not end the process: the exit code is part of the interface.
    signal(SIGPIPE, SIG_IGN);

    logging::configure({options.to_stdout, options.colour && !options.syslog, !options.syslog});
    logging::name_thread("ethminer");
    mine(options, ending);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const BadOption& error) {
        fprintf(stderr, "Error: %s\nTry ethminer --help for the arguments.\n", error.what());
        return 1;
    } catch (const std::runtime_error& error) {
        fprintf(stderr, "Error: %s\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        fprintf(stderr, "Error: %s\n", error.what());
        return 3;
    }
}
