// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// membench BYTES SECONDS
// Measures each GPU's memory bandwidth for Ethash's access pattern: random reads of 128 bytes within BYTES. Prints a line
// "gpu INDEX BYTES_PER_SECOND" per GPU. Exits with 1 if a GPU fails or reads wrong data.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#ifndef ON_CPU
#include <cuda_runtime.h>
#define LAUNCH(kernel, grid, block, ...) kernel<<<grid, block>>>(__VA_ARGS__)
constexpr uint32_t kGrid = 8192, kBlock = 256;
#else
#include "cuda_on_cpu.h"  // from the reference miner: runs the same code without a GPU
constexpr uint32_t kGrid = 2, kBlock = 32;
#endif

// Ethash reads pages, with eight lanes of 16 bytes. Each group of lanes has kAtOnce reads in flight: with fewer, the result
// would be the memory's latency, not its bandwidth.
constexpr uint32_t kPage = 128, kLanes = 8, kAtOnce = 8, kRounds = 8;

__global__ void fill(uint32_t* memory, uint64_t words) {
    for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < words; i += uint64_t{kGrid} * kBlock) memory[i] = uint32_t(i);
}

// Generates page numbers; each group has its own start (Knuth's linear congruential generator, mixed).
__device__ inline uint32_t next(uint32_t& state, uint32_t pages) {
    state = state * 1664525u + 1013904223u;
    const uint32_t mixed = (state ^ (state >> 15)) * 2246822519u;
    return uint32_t((uint64_t{mixed} * pages) >> 32);
}

__global__ void read(const uint4* memory, uint32_t pages, uint32_t seed, uint32_t* sums) {
    const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x, group = thread / kLanes, lane = thread % kLanes;
    uint32_t state[kAtOnce], sum = 0;
    for (uint32_t p = 0; p < kAtOnce; p++) state[p] = (group * kAtOnce + p + seed) * 2654435761u;
    for (uint32_t round = 0; round < kRounds; round++) {
        uint4 got[kAtOnce];
        for (uint32_t p = 0; p < kAtOnce; p++) got[p] = memory[uint64_t{next(state[p], pages)} * kLanes + lane];
        for (uint32_t p = 0; p < kAtOnce; p++) sum += got[p].x ^ got[p].y ^ got[p].z ^ got[p].w;
    }
    sums[thread] = sum;
}

// The expected sum of a thread: word i of the memory is i.
static uint32_t expected(uint32_t thread, uint32_t pages, uint32_t seed) {
    const uint32_t group = thread / kLanes, lane = thread % kLanes;
    uint32_t sum = 0;
    for (uint32_t p = 0; p < kAtOnce; p++) {
        uint32_t state = (group * kAtOnce + p + seed) * 2654435761u;
        for (uint32_t round = 0; round < kRounds; round++) {
            state = state * 1664525u + 1013904223u;
            const uint32_t mixed = (state ^ (state >> 15)) * 2246822519u;
            const uint32_t word = (uint32_t((uint64_t{mixed} * pages) >> 32) * kLanes + lane) * 4;
            sum += word ^ (word + 1) ^ (word + 2) ^ (word + 3);
        }
    }
    return sum;
}

static bool failed(cudaError_t error, int device, const char* doing) {
    if (error == cudaSuccess) return false;
    std::fprintf(stderr, "gpu %d: %s: %s\n", device, doing, cudaGetErrorString(error));
    return true;
}

static bool measure(int device, uint64_t bytes, double seconds) {
    size_t free = 0, total = 0;
    if (failed(cudaSetDevice(device), device, "choosing it") || failed(cudaMemGetInfo(&free, &total), device, "asking for its memory")) return false;
    if (bytes > free / 10 * 9) bytes = free / 10 * 9;
    const uint32_t pages = uint32_t(bytes / kPage), threads = kGrid * kBlock;
    uint32_t *memory = nullptr, *sums = nullptr;
    if (failed(cudaMalloc(&memory, uint64_t{pages} * kPage), device, "allocating") || failed(cudaMalloc(&sums, threads * sizeof(uint32_t)), device, "allocating"))
        return false;
    LAUNCH(fill, kGrid, kBlock, memory, uint64_t{pages} * (kPage / 4));

    // The first part is not measured, since the clocks still rise.
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
    auto begin = Clock::now();
    uint64_t launches = 0;
    uint32_t seed = 0;
    for (bool counting = false;;) {
        for (int i = 0; i < 8; i++) LAUNCH(read, kGrid, kBlock, reinterpret_cast<const uint4*>(memory), pages, ++seed, sums);
        if (failed(cudaGetLastError(), device, "starting") || failed(cudaDeviceSynchronize(), device, "reading")) return false;
        launches += 8;
        if (since(begin) < (counting ? seconds : seconds / 3)) continue;
        if (counting) break;
        counting = true;
        begin = Clock::now();
        launches = 0;
    }
    const double took = since(begin);

    uint32_t last = 0;
    if (failed(cudaMemcpy(&last, sums + threads - 1, sizeof(last), cudaMemcpyDeviceToHost), device, "copying")) return false;
    cudaFree(memory);
    cudaFree(sums);
    if (last != expected(threads - 1, pages, seed)) {
        std::fprintf(stderr, "gpu %d: it has read something else than what was written\n", device);
        return false;
    }
    std::printf("gpu %d %.0f\n", device, double(launches) * threads / kLanes * kAtOnce * kRounds * kPage / took);
    return true;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: membench BYTES SECONDS\n");
        return 2;
    }
    int devices = 0;
    if (failed(cudaGetDeviceCount(&devices), -1, "counting GPUs")) return 1;
    bool ok = devices > 0;
    for (int i = 0; i < devices; i++) ok = measure(i, std::strtoull(argv[1], nullptr, 10), std::atof(argv[2])) && ok;
    return ok ? 0 : 1;
}
