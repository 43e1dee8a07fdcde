// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <libethcore/Farm.h>

#if ETH_ETHASHCPU
#include <libethash-cpu/CPUMiner.h>
#endif
#if ETH_ETHASHCUDA
#include <libethash-cuda/CUDAMiner.h>
#endif
#include <libhwmon/wrapnvml.h>

// Boost 1.70 has taken get_io_service away from strands.
void Farm::restart_async()
{
    m_io_strand.get_io_service().post(m_io_strand.wrap(boost::bind(&Farm::restart, this)));
}

Json::Value Farm::get_nonce_scrambler_json() const
{
    Json::Value value;
    value["nvml"] = nvml_loads();
#if ETH_ETHASHCPU
    value["devices"] = cpu_devices();
#endif
#if ETH_ETHASHCUDA
    value["devices"] = cuda_devices();
#endif
    return value;
}
