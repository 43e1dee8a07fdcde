// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <boost/asio.hpp>
#include <boost/bind/bind.hpp>
#include <json/json.h>

class EthGetworkClient
{
public:
    explicit EthGetworkClient(boost::asio::io_service& io) : m_io_strand(io), m_socket(io) {}
    void start_connect(const boost::asio::ip::tcp::endpoint& to);
    int called() const { return m_called["calls"].asInt(); }

private:
    void connect_handler(const boost::system::error_code& error);

    boost::asio::io_service::strand m_io_strand;
    boost::asio::ip::tcp::socket m_socket;
    Json::Value m_called;
};
