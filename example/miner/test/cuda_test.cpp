// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Compares the CUDA code on a CPU with the plain evaluation, with a dataset of a few pages.
#include "../src/cuda.cu"

#include "../src/farm.h"
#include "check.h"

namespace {

constexpr uint32_t kPages = 1021;

std::string what_it_throws(Device& device, const ethash::Light& light) {
    try {
        device.prepare(light);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

void test_search(const ethash::Light& light) {
    const auto devices = cuda_devices();
    CHECK(devices.size() == 1);
    Device& device = *devices[0];
    CHECK_EQUAL("id", device.info().id, "00:1e.0");
    CHECK_EQUAL("name", device.info().name, "On a CPU (Compute 7.5)");
    device.prepare(light);

    Job job;
    for (int i = 0; i < 32; i++) job.header.bytes[i] = static_cast<uint8_t>(3 * i + 1);
    job.boundary = ethash::boundary(16);
    const uint64_t first = 0xfffffffffffffff0 - 0x100000000;  // crosses a 32-bit boundary
    std::vector<Solution> found;
    const uint64_t tried = device.search(job, first, found);
    CHECK(tried == 128);
    size_t right = 0;
    for (uint64_t nonce = first; nonce < first + tried; nonce++) {
        const ethash::Evaluation truth = ethash::evaluate(light, job.header, nonce);
        if (!ethash::at_or_below(truth.result, job.boundary)) continue;
        right++;
        bool there = false;
        for (const Solution& s : found)
            there = there || (s.nonce == nonce && memcmp(s.mix.bytes, truth.mix.bytes, sizeof truth.mix.bytes) == 0);
        CHECK_EQUAL("nonce " + std::to_string(nonce), there ? "found" : "missed", "found");
    }
    CHECK(right == found.size());
    CHECK(right > 0);
}

void test_failures(const ethash::Light& light) {
    cuda_on_cpu::used = cuda_on_cpu::memory - 1000;
    CHECK_EQUAL("memory", what_it_throws(*cuda_devices()[0], light).substr(0, 44), "This device hasn't enough memory available: ");
    cuda_on_cpu::used = 0;
    cuda_on_cpu::broken = true;
    const std::string broken = what_it_throws(*cuda_devices()[0], light);
    CHECK_EQUAL("another GPU", broken.substr(0, 33), "CUDA error in func make_items at ");
    CHECK(broken.find(" invalid device symbol on CUDA device 00:1e.0") != std::string::npos);
    cuda_on_cpu::broken = false;
    cuda_on_cpu::driver = 0;
    CHECK(cuda_devices().empty());
    cuda_on_cpu::driver = 11080;
}

}  // namespace

int main() {
    const ethash::Light light(0, kPages);
    cuda_on_cpu::memory = (size_t{32} << 20);
    test_search(light);
    test_failures(light);
    return failures ? 1 : 0;
}
