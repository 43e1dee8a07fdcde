// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// light_bench EPOCH ROUNDS [ROWS]
// Compares the time to make an epoch's cache with the time that OpenSSL takes for as many permutations: SHA3-512 of one long
// message, 72 bytes each. Both use one core; processor time counts, since other processes may run.
// The medians are appended to the file ROWS for `make bench`.
#include <openssl/crypto.h>
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

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// Appends a row as of tools/bench/compare.
bool append(const char* file, int epoch, double ours, double theirs, double ratio) {
    char peer[64], version[64];
    if (sscanf(OpenSSL_version(OPENSSL_VERSION), "%63s %63s", peer, version) != 2) return false;
    FILE* rows = fopen(file, "a");
    if (!rows) return false;
    const bool ok = fprintf(rows,
                            R"({"benchmark": "light", "measured": "make the light cache of epoch %d", "unit": "s", "ours": %.6g, "theirs": %.6g, )"
                            R"("ratio": %.6g, "peer": "%s", "version": "%s", "note": "hashes one message: as many permutations, but no cache"})"
                            "\n",
                            epoch, ours, theirs, ratio, peer, version) > 0;
    return fclose(rows) == 0 && ok;
}

}  // namespace

int main(int argc, char** argv) {
    const bool valid = argc == 3 || argc == 4;
    const int epoch = valid ? atoi(argv[1]) : -1, rounds = valid ? atoi(argv[2]) : 0;
    if (epoch < 0 || epoch > static_cast<int>(ethash::kMaxEpoch) || rounds < 1) {
        fputs("usage: light_bench EPOCH ROUNDS [ROWS]\n", stderr);
        return 2;
    }
    const auto number = static_cast<uint32_t>(epoch);
    const uint64_t permutations = 4 * (ethash::cache_bytes(number) / 64) + number * (ethash::kEpochLength / ethash::kSeedLength);
    std::vector<double> ours, theirs, ratios;
    printf("%14s%14s%8s   (ns per permutation, %.2f million)\n", "cache", "OpenSSL", "ratio", static_cast<double>(permutations) / 1e6);
    for (int i = 0; i < rounds; i++) {
        const double one = processor_seconds([&] { ethash::Light(number).cache(); });
        const double other = processor_seconds([&] { openssl(permutations); });
        ours.push_back(one);
        theirs.push_back(other);
        const double unit = 1e9 / static_cast<double>(permutations);
        printf("%14.0f%14.0f%8.2f\n", one * unit, other * unit, one / other);
        fflush(stdout);
        ratios.push_back(one / other);
    }
    const double best = *std::min_element(ours.begin(), ours.end()), best_other = *std::min_element(theirs.begin(), theirs.end());
    printf("median of the ratios %.2f, ratio of the best times %.2f: %.2f s and %.2f s\n", median(ratios), best / best_other, best, best_other);
    if (argc == 4 && !append(argv[3], epoch, median(ours), median(theirs), median(ratios))) {
        perror("light_bench: writing ROWS");
        return 1;
    }
}
