// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <CLI/CLI.hpp>
#include <ethash/ethash.hpp>

#include <cstdio>
#include <string>

int cleansed(int value);
int restarted();
int connected();
int epoch_of_block(int block);
int epoch_of_seed(const ethash::hash256& seed);

int main()
{
    CLI::App app{"ethminer"};
    int size = 64;
    app.add_set("--cl-local-work", size, {64, 128, 256});
    if (cleansed(1) != 0 || restarted() != 1 || connected() != 1)
        return 1;
    std::printf("epoch of block 120000: %d\n", epoch_of_block(120000));
    const ethash::hash256 seed = ethash::calculate_epoch_seed(1);
    std::printf("seed of epoch 1: ");
    for (unsigned char byte : seed.bytes)
        std::printf("%02x", byte);
    std::printf("\nepoch of that seed: %d\n", epoch_of_seed(seed));
    return 0;
}
