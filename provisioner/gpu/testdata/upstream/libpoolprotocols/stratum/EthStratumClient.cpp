// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "EthStratumClient.h"

void EthStratumClient::connect_handler(const boost::system::error_code&)
{
    m_called["calls"] = called() + 1;
}

// Newer Boost keeps _1 in boost::placeholders.
void EthStratumClient::start_connect(const boost::asio::ip::tcp::endpoint& to)
{
    m_socket.async_connect(to, m_io_strand.wrap(boost::bind(&EthStratumClient::connect_handler, this, _1)));
}
