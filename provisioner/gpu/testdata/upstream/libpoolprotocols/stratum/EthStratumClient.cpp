// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <boost/asio.hpp>
#include <boost/bind/bind.hpp>

struct EthStratumClient
{
    boost::asio::io_service m_io_service;
    boost::asio::io_service::strand m_io_strand{m_io_service};
    boost::asio::ip::tcp::socket m_socket{m_io_service};
    int called = 0;

    void connect_handler(const boost::system::error_code&) { ++called; }
    void start_connect(const boost::asio::ip::tcp::endpoint& to)
    {
        // Newer Boost keeps _1 in boost::placeholders.
        m_socket.async_connect(to, m_io_strand.wrap(boost::bind(&EthStratumClient::connect_handler, this, _1)));
    }
};

int connected()
{
    EthStratumClient client;
    client.start_connect({boost::asio::ip::address_v4::loopback(), 1});
    client.m_io_service.run();
    return client.called;
}
