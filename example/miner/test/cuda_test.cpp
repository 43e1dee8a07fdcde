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
        device.open(light);
        device.prepare(light);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

std::unique_ptr<Device> device_with(int at_once, const ethash::Light& light) {
    cudaDeviceProp properties;
    cudaGetDeviceProperties(&properties, 0);
    auto device = std::make_unique<CudaDevice>(0, properties, 0, at_once);
    device->open(light);
    device->prepare(light);
    return device;
}

Job job_of(int number, uint32_t difficulty) {
    Job job;
    for (int i = 0; i < 32; i++) job.header.bytes[i] = static_cast<uint8_t>(3 * i + number);
    job.boundary = ethash::boundary(difficulty);
    return job;
}

// Searches a batch, compares each of its nonces with the plain evaluation, and returns their number.
uint64_t search(const std::string& what, Device& device, const ethash::Light& light, const Job& job, uint64_t first) {
    std::vector<Solution> found;
    const uint64_t tried = device.search(job, first, found);
    size_t right = 0;
    for (uint64_t nonce = first; nonce < first + tried; nonce++) {
        const ethash::Evaluation truth = ethash::evaluate(light, job.header, nonce);
        if (!ethash::at_or_below(truth.result, job.boundary)) continue;
        right++;
        bool there = false;
        for (const Solution& s : found)
            there = there || (s.nonce == nonce && memcmp(s.mix.bytes, truth.mix.bytes, sizeof truth.mix.bytes) == 0);
        CHECK_EQUAL(what + ", nonce " + std::to_string(nonce), there ? "found" : "missed", "found");
    }
    CHECK_EQUAL(what + ", solutions", std::to_string(found.size()), std::to_string(right));
    CHECK(right > 0);
    return tried;
}

void test_device() {
    const auto devices = cuda_devices();
    CHECK(devices.size() == 1);
    CHECK_EQUAL("id", devices[0]->info().id, "00:1e.0");
    CHECK(nonces_at_once(7, 5) == 2 && nonces_at_once(8, 0) == 4 && nonces_at_once(9, 0) == 8);
    CHECK_EQUAL("name", devices[0]->info().name, "On a CPU (Compute 7.5)");
}

void test_walks(const ethash::Light& light) {
    const uint64_t first = 0xfffffffffffffff0 - 0x100000000;  // crosses a 32-bit boundary
    for (const int at_once : {1, 2, 4, 8}) {
        const std::string what = std::to_string(at_once) + " at a time";
        CHECK(search(what, *device_with(at_once, light), light, job_of(1, 16), first) == 128);
    }
}

// Each call starts the launch that the next call would ask for. It counts if the next call does ask for it; otherwise its
// solutions are those of another job or of other nonces.
void test_launches_in_flight(const ethash::Light& light) {
    const auto device = device_with(8, light);
    cuda_on_cpu::launches = 0;
    uint64_t nonce = 1000;
    nonce += search("the first launch", *device, light, job_of(1, 16), nonce);
    CHECK(cuda_on_cpu::launches == 2);
    nonce += search("the launch ahead", *device, light, job_of(1, 16), nonce);
    CHECK(cuda_on_cpu::launches == 3);
    nonce += search("another header", *device, light, job_of(2, 16), nonce);
    CHECK(cuda_on_cpu::launches == 5);
    nonce += search("another boundary", *device, light, job_of(2, 32), nonce);
    CHECK(cuda_on_cpu::launches == 7);
    search("other nonces", *device, light, job_of(2, 32), nonce + 5000);
    CHECK(cuda_on_cpu::launches == 9);
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
    cuda_on_cpu::memory = size_t{1} << 30;
    test_device();
    test_walks(light);
    test_launches_in_flight(light);
    test_failures(light);
    return failures ? 1 : 0;
}
