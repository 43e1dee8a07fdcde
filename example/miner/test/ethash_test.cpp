// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Published vectors of Keccak and Ethash.
#include "../src/ethash.h"

#include <cstring>
#include <memory>

#include "../src/keccak.h"
#include "check.h"

namespace {

struct KeccakVector {
    const char *in, *k256, *k512;
};

// From the Keccak team's known-answer tests.
const KeccakVector kKeccak[] = {
    {"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
     "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d"
     "3670680e"},
    {"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
     "18587dc2ea106b9a1563e32b3312421ca164c7f1f07bc922a9c83d77cea3a1e5d0c69910739025372dc14ac9642629379540c17e2a65b19d77aa511a"
     "9d00bb96"},
};

struct SizeVector {
    uint32_t epoch;
    uint64_t dataset, cache;
};

// From the size tables at the end of the specification.
const SizeVector kSizes[] = {
    {0, 1073739904, 16776896},
    {1, 1082130304, 16907456},
    {2047, 18245220736, 285081536},
};

struct HashVector {
    uint64_t block;
    const char* header;
    uint64_t nonce;
    const char* mix;
    const char* result;   // nullptr: not published
    uint32_t difficulty;  // that the result is said to meet; 0: more than 32 bits
};

const HashVector kHashes[] = {
    // The first block of Ethereum.
    {1, "85913a3057ea8bec78cd916871ca73802e77724e014dda65add3405d02240eb7", 0x539bd4979fef1ec4,
     "969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59", nullptr, 0},
    // The ninth proof-of-concept test network, in the tests of ethash itself.
    {22, "372eca2454ead349c3df0ab5d00b0b706b23e49d469387db91811cee0358fc6d", 0x495732e0ed7a801c,
     "2f74cdeb198af0b9abe65d22d372e22fb2d474371774a9583c1cc427a07939f5",
     "00000b184f1fdd88bfd94c86c39e65db0c36144d5e43f745f722196e730cb614", 132416},
    {30001, "7e44356ee3441623bc72a683fd3708fdf75e971bbe294f33e539eedad4b92b34", 0x318df1c8adef7e5e,
     "144b180aad09ae3c81fb07be92c8e6351b5646dda80e6844ae1b697e55ddde84", nullptr, 1532671},
    {60000, "5fc898f16035bf5ac9c6d9077ae1e3d5fc1ecc3c9fd5bee8bb00e810fdacbaa0", 0x50377003e5d830ca,
     "ab546a5b73c452ae86dadd36f0ed83a6745226717d3798832d1b20b489e82063", nullptr, 2467358},
    // Parity's tests, from the main chain.
    {486382, "f57e6f3acfc0dd4b5bf2bee40ab3358aa68773a8d09f5e595eab559405527d72", 0xd7b3ac70a301a249,
     "1fff04cec94173fd591e3d8960ce6bdf8b1971048c71ff937bb2d32a6431ab6d", nullptr, 0},
};

ethash::Hash256 from_hex(const char* text) {
    ethash::Hash256 out;
    for (uint8_t& byte : out.bytes) {
        unsigned value = 0;
        CHECK(sscanf(text, "%2x", &value) == 1);
        byte = static_cast<uint8_t>(value);
        text += 2;
    }
    return out;
}

void test_hashes() {
    std::unique_ptr<ethash::Light> light;
    for (const HashVector& v : kHashes) {
        const auto epoch = static_cast<uint32_t>(v.block / ethash::kEpochLength);
        if (!light || light->epoch() != epoch) light = std::make_unique<ethash::Light>(epoch);
        const ethash::Hash256 header = from_hex(v.header);
        ethash::Evaluation all[1 + ethash::kLanes];
        all[0] = ethash::evaluate(*light, header, v.nonce);
        for (uint32_t lane = 0; lane < ethash::kLanes; lane++) {
            ethash::Evaluation quick[ethash::kLanes];
            ethash::evaluate_lanes(*light, header, v.nonce - lane, quick);
            all[1 + lane] = quick[lane];
        }
        for (const ethash::Evaluation& e : all) {
            CHECK_EQUAL("mix of block " + std::to_string(v.block), hex(e.mix.bytes, 32), v.mix);
            if (v.result) CHECK_EQUAL("result of block " + std::to_string(v.block), hex(e.result.bytes, 32), v.result);
            if (v.difficulty) CHECK(ethash::at_or_below(e.result, ethash::boundary(v.difficulty)));
        }
    }
}

}  // namespace

int main() {
    for (const KeccakVector& v : kKeccak) {
        uint8_t digest[64];
        ethash::keccak256(v.in, strlen(v.in), digest);
        CHECK_EQUAL("keccak256", hex(digest, 32), v.k256);
        ethash::keccak512(v.in, strlen(v.in), digest);
        CHECK_EQUAL("keccak512", hex(digest, 64), v.k512);
    }
    for (const SizeVector& v : kSizes) {
        CHECK_EQUAL("dataset", std::to_string(ethash::dataset_bytes(v.epoch)), std::to_string(v.dataset));
        CHECK_EQUAL("cache", std::to_string(ethash::cache_bytes(v.epoch)), std::to_string(v.cache));
    }
    CHECK_EQUAL("seed of epoch 0", hex(ethash::seed_hash(0).bytes, 32), std::string(64, '0'));
    CHECK_EQUAL("seed of epoch 1", hex(ethash::seed_hash(1).bytes, 32),
                "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563");

    CHECK_EQUAL("boundary of 1", hex(ethash::boundary(1).bytes, 32), std::string(64, 'f'));
    CHECK_EQUAL("boundary of 2", hex(ethash::boundary(2).bytes, 32), '7' + std::string(63, 'f'));
    CHECK_EQUAL("boundary of 3", hex(ethash::boundary(3).bytes, 32), std::string(64, '5'));
    CHECK_EQUAL("boundary of 2^32-1", hex(ethash::boundary(UINT32_MAX).bytes, 8), "0000000100000001");
    ethash::Hash256 above = ethash::boundary(3);
    CHECK(ethash::at_or_below(above, ethash::boundary(3)));
    above.bytes[31]++;
    CHECK(!ethash::at_or_below(above, ethash::boundary(3)));

    test_hashes();
    return failures ? 1 : 0;
}
