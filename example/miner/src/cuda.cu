// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "cuda.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define LAUNCH(kernel, grid, block, ...) kernel<<<grid, block>>>(__VA_ARGS__)
#define LAUNCH_IN(stream, kernel, grid, block, ...) kernel<<<grid, block, 0, stream>>>(__VA_ARGS__)
#else
#include "cuda_on_cpu.h"  // test/: the same code, thread by thread, where there is no GPU
#endif

#include "log.h"
#include "permute.h"

namespace {

// ---- Keccak, in registers

// Hashes the first size 64-bit words of a, less than a block; the rest must be zero.
__device__ __forceinline__ void absorb(uint64_t a[25], int size, int block) {
    a[size] = 1;
    a[block - 1] ^= uint64_t{1} << 63;
    permute(a);
}

constexpr int kBlock256 = 17, kBlock512 = 9;  // words

// ---- Ethash

__device__ __forceinline__ uint32_t fnv(uint32_t a, uint32_t b) { return a * 0x01000193 ^ b; }

__device__ __forceinline__ uint4 fnv(uint4 a, uint4 b) {
    return make_uint4(fnv(a.x, b.x), fnv(a.y, b.y), fnv(a.z, b.z), fnv(a.w, b.w));
}

__device__ __forceinline__ uint64_t join(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }
__device__ __forceinline__ uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
__device__ __forceinline__ uint32_t high(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

constexpr int kQuads = 4;  // uint4 in an item
constexpr int kLanes = 8;  // threads that read a page of 128 bytes together, 16 bytes each

__device__ void rehash(uint4 mix[kQuads]) {
    uint64_t a[25] = {};
#pragma unroll
    for (int q = 0; q < kQuads; q++) {
        a[2 * q] = join(mix[q].x, mix[q].y);
        a[2 * q + 1] = join(mix[q].z, mix[q].w);
    }
    absorb(a, 8, kBlock512);
#pragma unroll
    for (int q = 0; q < kQuads; q++) mix[q] = make_uint4(low(a[2 * q]), high(a[2 * q]), low(a[2 * q + 1]), high(a[2 * q + 1]));
}

__device__ __forceinline__ uint32_t word(const uint4 mix[kQuads], uint32_t i) {
    const uint4 quad = mix[i / 4];
    return i % 4 == 0 ? quad.x : i % 4 == 1 ? quad.y : i % 4 == 2 ? quad.z : quad.w;
}

// One thread per dataset item, starting at first.
__global__ void make_items(uint4* dataset, uint32_t items, const uint4* cache, uint32_t size, uint32_t first) {
    const uint32_t index = first + blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= items) return;
    uint4 mix[kQuads];
    for (int q = 0; q < kQuads; q++) mix[q] = cache[size_t{index % size} * kQuads + q];
    mix[0].x ^= index;
    rehash(mix);
    for (uint32_t j = 0; j < ethash::kParents; j += 16)
#pragma unroll
        for (uint32_t k = 0; k < 16; k++) {
            const uint4* parent = cache + size_t{fnv(index ^ (j + k), word(mix, k)) % size} * kQuads;
#pragma unroll
            for (int q = 0; q < kQuads; q++) mix[q] = fnv(mix[q], parent[q]);
        }
    rehash(mix);
    for (int q = 0; q < kQuads; q++) dataset[size_t{index} * kQuads + q] = mix[q];
}

constexpr uint32_t kMostFound = 16;

struct Found {
    uint32_t count;
    uint64_t nonce[kMostFound];
    uint32_t mix[kMostFound][8];
};

struct Header {
    uint64_t words[4];
};

__device__ __forceinline__ uint32_t from_lane(uint32_t value, int lane) { return __shfl_sync(0xffffffff, value, lane, kLanes); }

constexpr uint32_t kThreads = 128;  // per block

// Blocks of a multiprocessor. The reads in flight limit the rate (Little's law: bytes in flight = bandwidth * latency), and
// registers limit the blocks: 65536 / (kThreads * blocks) per thread. The bound makes nvcc use them: without it, nvcc 12.4
// saves registers by mixing early, and 3 of 8 reads are in flight.
//
//   nonces at a time   registers   blocks   bytes in flight per multiprocessor (blocks * 16 groups * nonces * 128)
//   1                  80          6        12 KiB
//   2                  80          6        24 KiB
//   4                  104         4        32 KiB
//   8                  168         3        48 KiB
constexpr int blocks_for(int at_once) { return at_once == 8 ? 3 : at_once == 4 ? 4 : 6; }

// Bandwidth * latency is 23 KiB for a multiprocessor of an H200: 660 ns follow from the rate of one nonce at a time. It reached
// 78 % of its limit with 2 nonces, 82 % with 4 and 84 to 87 % with 8, so the aim is to have twice that in flight. The other GPUs
// are not measured: with the same latency, it is 12 KiB for an A100 (80 GB), and 3 to 7 for GPUs without HBM.
int nonces_at_once(int major, int minor) {
    switch (10 * major + minor) {
    case 80: return 4;             // A100
    case 90:                       // H100, H200
    case 100: case 103: return 8;  // B200, B300
    default: return 2;
    }
}

// One thread per nonce. Groups of eight threads read the dataset together, so that each page is one memory access; each thread
// does its own hashing before and after. A group walks kAtOnce of its nonces at a time and starts all their reads before it
// mixes. boundary is the first 64 bits of the boundary.
template <int kAtOnce>
__global__ void __launch_bounds__(kThreads, blocks_for(kAtOnce))
search_nonces(const uint4* dataset, uint32_t pages, Header header, uint64_t first, uint64_t boundary, Found* found) {
    static_assert(kLanes % kAtOnce == 0, "all turns have the same length");
    const uint64_t nonce = first + static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int lane = threadIdx.x % kLanes;

    uint64_t seed[25] = {};
#pragma unroll
    for (int i = 0; i < 4; i++) seed[i] = header.words[i];
    seed[4] = nonce;
    absorb(seed, 5, kBlock512);

    uint32_t own[8] = {};  // the final mix of this thread's nonce
#pragma unroll 1
    for (int turn = 0; turn < kLanes; turn += kAtOnce) {
        uint4 mix[kAtOnce] = {};
        uint32_t seed0[kAtOnce] = {};
#pragma unroll
        for (int n = 0; n < kAtOnce; n++)
#pragma unroll
            for (int i = 0; i < 8; i += 2) {
                const int owner = turn + n;
                const uint4 quad = make_uint4(from_lane(low(seed[i]), owner), from_lane(high(seed[i]), owner),
                                              from_lane(low(seed[i + 1]), owner), from_lane(high(seed[i + 1]), owner));
                if (i == 0) seed0[n] = quad.x;
                if (lane % kQuads == i / 2) mix[n] = quad;
            }
#pragma unroll 1
        for (uint32_t i = 0; i < ethash::kAccesses; i += 4) {
            const int reader = static_cast<int>(i / 4 % kLanes);  // the thread with words i to i + 3 of the mix
#pragma unroll
            for (uint32_t k = 0; k < 4; k++) {
                uint4 read[kAtOnce];
#pragma unroll
                for (int n = 0; n < kAtOnce; n++) {
                    const uint32_t part = k == 0 ? mix[n].x : k == 1 ? mix[n].y : k == 2 ? mix[n].z : mix[n].w;
                    const uint32_t page = from_lane(fnv((i + k) ^ seed0[n], part) % pages, reader);
                    read[n] = dataset[size_t{page} * kLanes + lane];
                }
#pragma unroll
                for (int n = 0; n < kAtOnce; n++) mix[n] = fnv(mix[n], read[n]);
            }
        }
#pragma unroll
        for (int n = 0; n < kAtOnce; n++) {
            const uint32_t folded = fnv(fnv(fnv(mix[n].x, mix[n].y), mix[n].z), mix[n].w);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const uint32_t one = from_lane(folded, i);
                if (lane == turn + n) own[i] = one;
            }
        }
    }

    uint64_t result[25] = {};
#pragma unroll
    for (int i = 0; i < 8; i++) result[i] = seed[i];
#pragma unroll
    for (int i = 0; i < 4; i++) result[8 + i] = join(own[2 * i], own[2 * i + 1]);
    absorb(result, 12, kBlock256);
    uint64_t top = 0;
    for (int i = 0; i < 8; i++) top = top << 8 | (result[0] >> (8 * i) & 0xff);
    if (top > boundary) return;
    const uint32_t at = atomicAdd(&found->count, 1u);
    if (at >= kMostFound) return;
    found->nonce[at] = nonce;
    for (int i = 0; i < 8; i++) found->mix[at][i] = own[i];
}

using Search = void(const uint4*, uint32_t, Header, uint64_t, uint64_t, Found*);

Search* search_kernel(int at_once) {
    switch (at_once) {
    case 1: return search_nonces<1>;
    case 2: return search_nonces<2>;
    case 4: return search_nonces<4>;
    case 8: return search_nonces<8>;
    }
    throw std::runtime_error("a group walks 1, 2, 4 or 8 nonces at a time");
}

// ---- The device

constexpr uint32_t kLeastBlocks = 1, kMostBlocks = 1u << 17;
constexpr double kBatch = 0.02;                   // target seconds per launch
constexpr uint32_t kItemsAtOnce = 1u << 20;       // limits the time of a launch

class CudaDevice : public Device {
public:
    CudaDevice(int index, const cudaDeviceProp& properties, uint64_t free, int at_once)
        : index_(index), search_(search_kernel(at_once)) {
        const std::string number = std::to_string(index);
        info_ = {"cu", "cuda-" + number, logging::text("%02x:%02x.0", properties.pciBusID, properties.pciDeviceID), "Gpu", "CUDA",
                 logging::text("%s (Compute %d.%d)", properties.name, properties.major, properties.minor), free};
    }
    ~CudaDevice() override {
        for (Launch& launch : launches_) {
            if (launch.stream) cudaStreamDestroy(launch.stream);
            cudaFree(launch.found);
            cudaFreeHost(launch.result);
        }
        cudaFree(dataset_);
    }

    const DeviceInfo& info() const override { return info_; }

    // Ten seconds on the slowest supported GPU, less than one on the fastest.
    uint32_t difficulty() const override { return 1u << 28; }

    void open(const ethash::Light& light) override {
        check("set device", __LINE__, cudaSetDevice(index_));
        check("set flags", __LINE__, cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
        pages_ = light.pages();
        const uint64_t bytes = uint64_t{pages_} * 128, cache_bytes = light.size() * sizeof(ethash::Item);
        size_t free = 0, total = 0;
        check("memory", __LINE__, cudaMemGetInfo(&free, &total));
        if (free < bytes + cache_bytes)
            throw std::runtime_error("This device hasn't enough memory available: " + logging::size(free) + " free, " +
                                     logging::size(bytes + cache_bytes) + " needed");
        left_ = free - bytes;
        check("allocate", __LINE__, cudaMalloc(&dataset_, bytes));
        check("allocate", __LINE__, cudaMalloc(&cache_, cache_bytes));
        for (Launch& launch : launches_) {
            check("allocate", __LINE__, cudaMalloc(&launch.found, sizeof(Found)));
            check("allocate", __LINE__, cudaMallocHost(&launch.result, sizeof(Found)));
            check("create stream", __LINE__, cudaStreamCreate(&launch.stream));
        }
    }

    void prepare(const ethash::Light& light) override {
        const uint64_t cache_bytes = light.size() * sizeof(ethash::Item);
        logging::line("cu", "Generating DAG + Light(on GPU) : %s", logging::size(uint64_t{pages_} * 128 + cache_bytes).c_str());
        const auto begin = std::chrono::steady_clock::now();
        check("copy", __LINE__, cudaMemcpy(cache_, light.cache().data(), cache_bytes, cudaMemcpyHostToDevice));
        const uint32_t items = 2 * pages_;
        for (uint32_t first = 0; first < items; first += kItemsAtOnce) {
            const uint32_t now = std::min(kItemsAtOnce, items - first);
            LAUNCH(make_items, (now + kThreads - 1) / kThreads, kThreads, dataset_, items, cache_,
                   static_cast<uint32_t>(light.size()), first);
            check("make_items", __LINE__, cudaGetLastError());
            check("make_items", __LINE__, cudaDeviceSynchronize());
        }
        check("free", __LINE__, cudaFree(cache_));
        cache_ = nullptr;
        const double took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
        logging::line("cu", "Generated DAG + Light in %.0f ms. %s left.", took, logging::size(left_).c_str());
    }

    // Starts the launch after this one before it waits, so that the GPU works while the host reads the result. That launch is
    // this one's successor: if the next call asks for anything else, such as another job, its result is never read.
    uint64_t search(const Job& job, uint64_t first, std::vector<Solution>& solutions) override {
        const auto begin = std::chrono::steady_clock::now();
        std::swap(launches_[0], launches_[1]);
        Launch& now = launches_[0];
        if (!now.blocks || now.first != first || memcmp(&now.job, &job, sizeof job) != 0) start(now, job, first);
        const uint64_t tried = uint64_t{now.blocks} * kThreads;
        start(launches_[1], job, first + tried);

        check("search_nonces", __LINE__, cudaStreamSynchronize(now.stream));
        const Found& found = *now.result;
        for (uint32_t i = 0; i < std::min(found.count, kMostFound); i++) {
            Solution solution{found.nonce[i], {}};
            memcpy(solution.mix.bytes, found.mix[i], sizeof solution.mix.bytes);
            solutions.push_back(solution);
        }
        const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (took < kBatch / 2) blocks_ = std::min(2 * now.blocks, kMostBlocks);
        else if (took > 2 * kBatch) blocks_ = std::max(now.blocks / 2, kLeastBlocks);
        return tried;
    }

private:
    struct Launch {
        cudaStream_t stream = nullptr;
        Found* found = nullptr;   // on the GPU
        Found* result = nullptr;  // its copy, in memory that the GPU can write while the host does something else
        Job job;
        uint64_t first = 0;
        uint32_t blocks = 0;      // 0: never started
    };

    void start(Launch& launch, const Job& job, uint64_t first) {
        launch.job = job;
        launch.first = first;
        launch.blocks = blocks_;
        Header header;
        memcpy(&header, job.header.bytes, sizeof header);
        uint64_t boundary = 0;
        for (int i = 0; i < 8; i++) boundary = boundary << 8 | job.boundary.bytes[i];
        check("clear", __LINE__, cudaMemsetAsync(launch.found, 0, sizeof(uint32_t), launch.stream));
        LAUNCH_IN(launch.stream, search_, launch.blocks, kThreads, dataset_, pages_, header, first, boundary, launch.found);
        check("search_nonces", __LINE__, cudaGetLastError());
        check("search_nonces", __LINE__,
              cudaMemcpyAsync(launch.result, launch.found, sizeof(Found), cudaMemcpyDeviceToHost, launch.stream));
    }

    // The same words as ethminer's, which identify a lost device or a binary for another GPU.
    void check(const char* what, int line, cudaError_t error) const {
        if (error == cudaSuccess) return;
        throw std::runtime_error(logging::text("CUDA error in func %s at line %d %s on CUDA device %s", what, line,
                                               cudaGetErrorString(error), info_.id.c_str()));
    }

    const int index_;
    DeviceInfo info_;
    Search* const search_;
    uint4* dataset_ = nullptr;
    uint4* cache_ = nullptr;  // until the dataset is there
    uint64_t left_ = 0;       // bytes of memory
    uint32_t pages_ = 0;
    uint32_t blocks_ = kLeastBlocks;
    Launch launches_[2];      // the one that search waits for, and the next
};

}  // namespace

std::vector<std::unique_ptr<Device>> cuda_devices() {
    int count = 0;
    if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
        const char* why = cudaGetErrorString(error);
        if (error == cudaErrorInsufficientDriver) {
            int version = 0;
            cudaDriverGetVersion(&version);
            if (version == 0) logging::line(logging::kWarning, "CUDA Error : No CUDA driver found");
            else logging::line(logging::kWarning, "CUDA Error : Insufficient CUDA driver %d", version);
        } else {
            logging::line(logging::kWarning, "CUDA Error : %s", why);
        }
        return {};
    }
    std::vector<std::unique_ptr<Device>> devices;
    for (int i = 0; i < count; i++) {
        cudaDeviceProp properties;
        size_t free = 0, total = 0;
        if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
        if (cudaSetDevice(i) != cudaSuccess || cudaMemGetInfo(&free, &total) != cudaSuccess) free = 0;
        devices.push_back(std::make_unique<CudaDevice>(i, properties, free, nonces_at_once(properties.major, properties.minor)));
    }
    return devices;
}
