// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// light_bench EPOCH ROUNDS
// Compares the time to make an epoch's cache with the time that OpenSSL takes for as many permutations: SHA3-512 of one long
// message, 72 bytes each. Both use one core; processor time counts, since other processes may run.
#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

#include "../src/ethash.h"

namespace {

template <typename Work>
double processor_seconds(Work work) {
    const auto now = [] {
        timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    };
    const double begin = now();
    work();
    return now() - begin;
}

// Reads one buffer again and again, which stays in the processor's cache.
void openssl(uint64_t permutations) {
    constexpr uint64_t kAtOnce = 256;
    const std::vector<unsigned char> message(72 * kAtOnce);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    unsigned char digest[64];
    bool ok = EVP_DigestInit_ex(hash.get(), EVP_sha3_512(), nullptr);
    for (uint64_t done = 0; done < permutations; done += kAtOnce)
        ok = ok && EVP_DigestUpdate(hash.get(), message.data(), 72 * std::min(kAtOnce, permutations - done));
    if (ok && EVP_DigestFinal_ex(hash.get(), digest, nullptr)) return;
    fputs("light_bench: OpenSSL fails\n", stderr);
    exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    const int epoch = argc == 3 ? atoi(argv[1]) : -1, rounds = argc == 3 ? atoi(argv[2]) : 0;
    if (epoch < 0 || epoch > static_cast<int>(ethash::kMaxEpoch) || rounds < 1) {
        fputs("usage: light_bench EPOCH ROUNDS\n", stderr);
        return 2;
    }
    const auto number = static_cast<uint32_t>(epoch);
    const uint64_t permutations = 4 * (ethash::cache_bytes(number) / 64) + number * (ethash::kEpochLength / ethash::kSeedLength);
    std::vector<double> ratios;
    double ours = 1e9, theirs = 1e9;
    printf("%14s%14s%8s   (ns per permutation, %.2f million)\n", "cache", "OpenSSL", "ratio", static_cast<double>(permutations) / 1e6);
    for (int i = 0; i < rounds; i++) {
        const double one = processor_seconds([&] { ethash::Light(number).cache(); });
        const double other = processor_seconds([&] { openssl(permutations); });
        ours = std::min(ours, one);
        theirs = std::min(theirs, other);
        const double unit = 1e9 / static_cast<double>(permutations);
        printf("%14.0f%14.0f%8.2f\n", one * unit, other * unit, one / other);
        fflush(stdout);
        ratios.push_back(one / other);
    }
    std::sort(ratios.begin(), ratios.end());
    printf("median of the ratios %.2f, ratio of the best times %.2f: %.2f s and %.2f s\n", ratios[ratios.size() / 2], ours / theirs, ours, theirs);
}
