// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "cpu.h"

#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {

class CpuDevice : public Device {
public:
    explicit CpuDevice(DeviceInfo info) : info_(std::move(info)) {}

    const DeviceInfo& info() const override { return info_; }

    // A core computes one to three thousand light hashes per second.
    uint32_t difficulty() const override { return 4096; }

    void prepare(const ethash::Light& light) override { light_ = &light; }

    uint64_t search(const Job& job, uint64_t first, std::vector<Solution>& found) override {
        ethash::Evaluation evaluation[ethash::kLanes];
        ethash::evaluate_lanes(*light_, job.header, first, evaluation);
        for (uint32_t lane = 0; lane < ethash::kLanes; lane++)
            if (ethash::at_or_below(evaluation[lane].result, job.boundary))
                found.push_back({first + lane, evaluation[lane].mix});
        return ethash::kLanes;
    }

private:
    DeviceInfo info_;
    const ethash::Light* light_ = nullptr;
};

unsigned cores() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? static_cast<unsigned>(online) : 1;
}

// On Arm, /proc/cpuinfo has no model name.
std::string model() {
    std::string name = "CPU";
    if (FILE* file = fopen("/proc/cpuinfo", "r")) {
        char line[512];
        while (fgets(line, sizeof line, file)) {
            const char* colon = strchr(line, ':');
            if (strncmp(line, "model name", 10) != 0 || !colon) continue;
            name = colon + 1;
            name.erase(0, name.find_first_not_of(' '));
            name.erase(name.find_last_not_of(" \n") + 1);
            break;
        }
        fclose(file);
    }
    return name;
}

}  // namespace

std::vector<std::unique_ptr<Device>> cpu_devices(unsigned wanted) {
    const unsigned count = wanted ? wanted : cores();
    const std::string name = model();
    const auto memory = static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    std::vector<std::unique_ptr<Device>> devices;
    for (unsigned i = 0; i < count; i++) {
        const std::string id = "cpu-" + std::to_string(i);
        devices.push_back(std::make_unique<CpuDevice>(DeviceInfo{"cp", id, id, "Cpu", "CPU", name, memory}));
    }
    return devices;
}
