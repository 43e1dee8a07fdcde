// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#pragma once

#include <boost/asio.hpp>
#include <boost/bind/bind.hpp>

// Debian and Ubuntu have it in a folder of its own.
#include <json/json.h>

#include <libdevcore/Common.h>

class Farm
{
public:
    explicit Farm(boost::asio::io_service& io) : m_io_strand(io) {}
    void restart_async();
    int restarts() const { return m_restarts; }
    Json::Value get_nonce_scrambler_json() const;

private:
    void restart() { ++m_restarts; }

    boost::asio::io_service::strand m_io_strand;
    int m_restarts = 0;
};
