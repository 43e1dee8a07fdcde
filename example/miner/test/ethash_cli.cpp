// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Computes Keccak and Ethash values, one request per line, for comparison with an independent implementation:
//
//   keccak256 HEX              digest                       ("-" stands for no bytes)
//   keccak512 HEX              digest
//   sizes EPOCH                bytes of the dataset, bytes of the cache
//   seed EPOCH                 seed hash
//   cache EPOCH                keccak256 of the whole cache
//   hash BLOCK HEADER NONCE    mix, result                  (NONCE in decimal; both ways of evaluating must agree)
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "../src/ethash.h"
#include "../src/keccak.h"

namespace {

void fail(const char* what) {
    fprintf(stderr, "ethash_cli: %s\n", what);
    exit(1);
}

std::string from_hex(const char* hex) {
    std::string out;
    if (strcmp(hex, "-") == 0) return out;
    unsigned byte;
    for (; *hex; hex += 2) {
        if (sscanf(hex, "%2x", &byte) != 1) fail("bad hex");
        out += static_cast<char>(byte);
    }
    return out;
}

void print_hex(const void* data, size_t size, char end) {
    for (size_t i = 0; i < size; i++) printf("%02x", static_cast<const uint8_t*>(data)[i]);
    putchar(end);
}

const ethash::Light& light_of(uint32_t epoch) {
    static std::unique_ptr<ethash::Light> light;
    if (!light || light->epoch() != epoch) light = std::make_unique<ethash::Light>(epoch);
    return *light;
}

void answer_hash(uint64_t block, const std::string& header_bytes, uint64_t nonce) {
    if (header_bytes.size() != 32) fail("a header hash has 32 bytes");
    ethash::Hash256 header;
    memcpy(header.bytes, header_bytes.data(), 32);
    const ethash::Light& light = light_of(static_cast<uint32_t>(block / ethash::kEpochLength));
    const ethash::Evaluation straight = ethash::evaluate(light, header, nonce);
    // Once in each lane, so that every lane is compared.
    for (uint32_t lane = 0; lane < ethash::kLanes; lane++) {
        ethash::Evaluation quick[ethash::kLanes];
        ethash::evaluate_lanes(light, header, nonce - lane, quick);
        if (memcmp(&quick[lane], &straight, sizeof straight) != 0) fail("the two ways of evaluating differ");
    }
    print_hex(straight.mix.bytes, 32, ' ');
    print_hex(straight.result.bytes, 32, '\n');
}

}  // namespace

int main() {
    static char line[65536], word[32], text[65536];
    while (fgets(line, sizeof line, stdin)) {
        uint64_t number = 0, nonce = 0;
        uint8_t digest[64];
        if (sscanf(line, "hash %" SCNu64 " %65535s %" SCNu64, &number, text, &nonce) == 3) {
            answer_hash(number, from_hex(text), nonce);
        } else if (sscanf(line, "sizes %" SCNu64, &number) == 1) {
            const auto epoch = static_cast<uint32_t>(number);
            printf("%" PRIu64 " %" PRIu64 "\n", ethash::dataset_bytes(epoch), ethash::cache_bytes(epoch));
        } else if (sscanf(line, "seed %" SCNu64, &number) == 1) {
            print_hex(ethash::seed_hash(static_cast<uint32_t>(number)).bytes, 32, '\n');
        } else if (sscanf(line, "cache %" SCNu64, &number) == 1) {
            const auto& cache = light_of(static_cast<uint32_t>(number)).cache();
            ethash::keccak256(cache.data(), cache.size() * sizeof cache[0], digest);
            print_hex(digest, 32, '\n');
        } else if (sscanf(line, "%31s %65535s", word, text) == 2 && strcmp(word, "keccak256") == 0) {
            const std::string in = from_hex(text);
            ethash::keccak256(in.data(), in.size(), digest);
            print_hex(digest, 32, '\n');
        } else if (strcmp(word, "keccak512") == 0) {
            const std::string in = from_hex(text);
            ethash::keccak512(in.data(), in.size(), digest);
            print_hex(digest, 64, '\n');
        } else {
            fail("not understood");
        }
        fflush(stdout);
    }
}
