// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The subset of CUDA that src/cuda.cu uses, on a CPU: each block runs as threads that synchronize at every shuffle, like the
// lanes of a warp. What is queued in a stream runs as late as CUDA permits: when the host waits for that stream. It is
// thousands of times slower than a GPU; it tests correctness, not speed.
#pragma once

#include <atomic>
#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint4 {
    uint32_t x, y, z, w;
};
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }

struct Dim {
    uint32_t x = 0;
};
inline thread_local Dim blockIdx, blockDim, threadIdx;

namespace cuda_on_cpu {

constexpr uint32_t kWarp = 32;

struct Warp {
    std::barrier<> meet{kWarp};
    uint32_t slots[kWarp];
};
inline thread_local Warp* warp = nullptr;

inline size_t memory = size_t{8} << 20;  // memory of the device
inline size_t used = 0;
inline int count = 1;
inline bool broken = false;  // makes launches fail
inline int driver = 11080;
inline int launches = 0;  // in streams

// All threads of a warp run concurrently, one warp after the other. A thread that returns early leaves the synchronization.
template <typename Kernel>
void launch(uint32_t grid, uint32_t block, Kernel kernel) {
    if (broken) return;
    for (uint32_t b = 0; b < grid; b++)
        for (uint32_t from = 0; from < block; from += kWarp) {
            Warp shared;
            std::vector<std::thread> threads;
            for (uint32_t i = 0; i < kWarp; i++)
                threads.emplace_back([&, i] {
                    warp = &shared;
                    blockIdx.x = b, blockDim.x = block, threadIdx.x = from + i;
                    kernel();
                    shared.meet.arrive_and_drop();
                });
            for (auto& thread : threads) thread.join();
        }
}

using Stream = std::vector<std::function<void()>>;

// Copies the arguments, as CUDA does.
template <typename... Parameters, typename... Arguments>
void launch_in(Stream* stream, void (*kernel)(Parameters...), uint32_t grid, uint32_t block, Arguments... arguments) {
    launches++;
    stream->push_back([=] { launch(grid, block, [&] { kernel(arguments...); }); });
}

}  // namespace cuda_on_cpu

#define LAUNCH(kernel, grid, block, ...) cuda_on_cpu::launch(grid, block, [&] { kernel(__VA_ARGS__); })
#define LAUNCH_IN(stream, kernel, grid, block, ...) cuda_on_cpu::launch_in(stream, kernel, grid, block, __VA_ARGS__)

inline uint32_t __shfl_sync(unsigned, uint32_t value, int source, int width) {
    auto& warp = *cuda_on_cpu::warp;
    const uint32_t lane = threadIdx.x % cuda_on_cpu::kWarp;
    warp.slots[lane] = value;
    warp.meet.arrive_and_wait();
    const uint32_t got = warp.slots[lane / width * width + source];
    warp.meet.arrive_and_wait();
    return got;
}

inline uint32_t atomicAdd(uint32_t* to, uint32_t n) { return std::atomic_ref<uint32_t>(*to).fetch_add(n); }

enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation, cudaErrorInsufficientDriver, cudaErrorInvalidSymbol };
using cudaStream_t = cuda_on_cpu::Stream*;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
constexpr unsigned cudaDeviceScheduleBlockingSync = 4;
struct cudaDeviceProp {
    char name[256];
    int major, minor, pciBusID, pciDeviceID;
};

inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorInvalidSymbol ? "invalid device symbol" : "out of memory";
}
inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = cuda_on_cpu::count;
    return cuda_on_cpu::driver >= 11080 ? cudaSuccess : cudaErrorInsufficientDriver;
}
inline cudaError_t cudaDriverGetVersion(int* version) { return *version = cuda_on_cpu::driver, cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out, int index) {
    *out = {"On a CPU", 7, 5, index, 30};
    return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    *total = cuda_on_cpu::memory, *free = cuda_on_cpu::memory - cuda_on_cpu::used;
    return cudaSuccess;
}
template <typename T>
cudaError_t cudaMalloc(T** to, size_t size) {
    cuda_on_cpu::used += size;
    *to = static_cast<T*>(aligned_alloc(128, (size + 127) / 128 * 128));
    return *to ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFree(void* memory) { return free(memory), cudaSuccess; }
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) { return memcpy(to, from, size), cudaSuccess; }

// Filled with ones: a result that is read before it is written is wrong.
template <typename T>
cudaError_t cudaMallocHost(T** to, size_t size) {
    *to = static_cast<T*>(malloc(size));
    return *to ? memset(*to, 0xff, size), cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFreeHost(void* memory) { return free(memory), cudaSuccess; }

inline cudaError_t cudaStreamCreate(cudaStream_t* stream) { return *stream = new cuda_on_cpu::Stream, cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    for (const auto& work : *stream) work();
    return stream->clear(), cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
    return stream->push_back([=] { memcpy(to, from, size); }), cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream) {
    return stream->push_back([=] { memset(to, value, size); }), cudaSuccess;
}

inline cudaError_t cudaGetLastError() { return cuda_on_cpu::broken ? cudaErrorInvalidSymbol : cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
