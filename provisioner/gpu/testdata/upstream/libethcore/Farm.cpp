// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include <boost/asio.hpp>
#include <boost/bind/bind.hpp>

struct Farm
{
    boost::asio::io_service m_io_service;
    boost::asio::io_service::strand m_io_strand{m_io_service};
    int restarts = 0;

    void restart() { ++restarts; }
    // Boost 1.70 has taken get_io_service away.
    void restart_async()
    {
        m_io_strand.get_io_service().post(m_io_strand.wrap(boost::bind(&Farm::restart, this)));
    }
};

int restarted()
{
    Farm farm;
    farm.restart_async();
    farm.m_io_service.run();
    return farm.restarts;
}
