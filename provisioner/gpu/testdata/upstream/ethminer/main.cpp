// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <CLI/CLI.hpp>

#include <ethminer/buildinfo.h>

#include <libethcore/Farm.h>
#include <libpoolprotocols/PoolManager.h>
#include <libpoolprotocols/getwork/EthGetworkClient.h>
#include <libpoolprotocols/stratum/EthStratumClient.h>
#if API_CORE
#include <libapicore/ApiServer.h>
#endif

#include <cstdio>

int cleansed(int value);

// Whether every part does its work, for the tests: a job's epoch by block and by
// seed.
int main(int argc, char**)
{
    CLI::App app{"ethminer"};
    int size = 64;
    app.add_set("--cl-local-work", size, {64, 128, 256});
    if (argc > 1)
    {
        std::printf("ethminer %s\n", ethminer_version());
        return 0;
    }

    boost::asio::io_service io;
    const boost::asio::ip::tcp::endpoint nobody{boost::asio::ip::address_v4::loopback(), 1};
    Farm farm{io};
    EthStratumClient stratum{io};
    EthGetworkClient getwork{io};
    farm.restart_async();
    stratum.start_connect(nobody);
    getwork.start_connect(nobody);
    io.run();
    if (cleansed(1) != 0 || farm.restarts() != 1 || stratum.called() != 1 || getwork.called() != 1)
        return 1;
    if (!farm.get_nonce_scrambler_json().isMember("nvml"))
        return 1;
#if API_CORE
    if (getstat1(1)["restarts"].asInt() != 1)
        return 1;
#endif

    std::printf("epoch of block 120000: %d\n", epoch_of({120000, {}, -1}));
    const ethash::hash256 seed = ethash::calculate_epoch_seed(1);
    std::printf("seed of epoch 1: ");
    for (unsigned char part : seed.bytes)
        std::printf("%02x", part);
    std::printf("\nepoch of that seed: %d %d\n", epoch_of({-1, seed, -1}), epoch_of_seed(seed));
    return 0;
}
