// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// gpu_bench NONCES_AT_A_TIME EPOCH SECONDS [PAGES]
// Runs the miner's search on the first GPU, verifies each solution on the CPU, and prints: nonces at a time, registers, bytes
// of spills, blocks per multiprocessor, hashes per second, right solutions. A dataset of PAGES is for compute-sanitizer, which
// slows the GPU down. Exits with 1 if a solution is wrong, or if there is none.
#include "../src/cuda.cu"

#include <cstdio>
#include <cstdlib>

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

int bench(int at_once, uint32_t epoch, double seconds, uint32_t pages) {
    cudaDeviceProp properties;
    if (const cudaError_t error = cudaGetDeviceProperties(&properties, 0); error != cudaSuccess)
        throw std::runtime_error(cudaGetErrorString(error));
    CudaDevice device(0, properties, 0, at_once);
    const ethash::Light light(epoch, pages);
    device.open(light);
    device.prepare(light);

    Job job = {};
    job.boundary = ethash::boundary(pages ? 1u << 12 : device.difficulty());
    std::vector<Solution> found;
    uint64_t nonce = 0, right = 0, wrong = 0;
    const auto search = [&] {
        found.clear();
        nonce += device.search(job, nonce, found);
        for (const Solution& solution : found) {
            const ethash::Evaluation truth = ethash::evaluate(light, job.header, solution.nonce);
            const bool same = memcmp(&truth.mix, &solution.mix, sizeof truth.mix) == 0;
            ++(same && ethash::at_or_below(truth.result, job.boundary) ? right : wrong);
        }
    };
    // The first part is not measured, since clocks and launches still change.
    for (const auto begin = Clock::now(); since(begin) < seconds / 3;) search();
    const auto begin = Clock::now();
    const uint64_t first = nonce;
    while (since(begin) < seconds) search();
    const double rate = static_cast<double>(nonce - first) / since(begin);

    cudaFuncAttributes attributes;
    int blocks = 0;
    cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(search_kernel(at_once)));
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, search_kernel(at_once), kThreads, 0);
    printf("%d %d %zu %d %.0f %llu\n", at_once, attributes.numRegs, attributes.localSizeBytes, blocks, rate,
           static_cast<unsigned long long>(right));
    if (wrong) fprintf(stderr, "gpu_bench: %llu solutions are wrong\n", static_cast<unsigned long long>(wrong));
    else if (!right) fprintf(stderr, "gpu_bench: no solution found\n");
    return wrong || !right;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4 || argc > 5) {
        fputs("usage: gpu_bench NONCES_AT_A_TIME EPOCH SECONDS [PAGES]\n", stderr);
        return 2;
    }
    try {
        return bench(atoi(argv[1]), static_cast<uint32_t>(atoi(argv[2])), atof(argv[3]),
                     argc == 5 ? static_cast<uint32_t>(atoi(argv[4])) : 0);
    } catch (const std::runtime_error& error) {
        fprintf(stderr, "gpu_bench: %s\n", error.what());
        return 1;
    }
}
