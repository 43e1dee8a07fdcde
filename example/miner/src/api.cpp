// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "api.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <stdexcept>

#include "json.h"
#include "log.h"
#include "version.h"

using logging::text;

namespace {

constexpr size_t kLongestRequest = 64 * 1024;
constexpr size_t kMostClients = 64;

struct RpcError {
    int code;
    const char* message;
};

std::string hex32(double rate) { return text("\"0x%08" PRIx32 "\"", static_cast<uint32_t>(static_cast<uint64_t>(rate))); }
int64_t kilo(double rate) { return static_cast<int64_t>(rate / 1000); }

// accepted, rejected, failed, seconds since the last one
std::string shares(uint64_t accepted, uint64_t rejected, uint64_t failed, Clock::time_point last) {
    const auto age = last == Clock::time_point{} ? std::chrono::seconds(0)
                                                 : std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - last);
    return text("[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%lld]", accepted, rejected, failed, static_cast<long long>(age.count()));
}

std::string get_stat1(Farm& farm) {
    const Status status = farm.status();
    std::string rates, dual, sensors;
    for (const DeviceStatus& device : status.devices) {
        const char* separator = rates.empty() ? "" : ";";
        rates += text("%s%" PRId64, separator, kilo(device.rate));
        dual += text("%soff", separator);
        sensors += text("%s%u;%u", separator, device.sensors.celsius, device.sensors.fan_percent);
    }
    return text("[\"ethminer-" MINER_VERSION "\",\"%lld\",\"%" PRId64 ";%" PRIu64 ";%" PRIu64 "\",\"%s\",\"0;0;0\",\"%s\",\"%s\",\"%s\","
                "\"%" PRIu64 ";0;0;0\"]",
                static_cast<long long>(status.running.count() / 60), kilo(status.rate), status.accepted, status.rejected, rates.c_str(),
                dual.c_str(), sensors.c_str(), farm.where().c_str(), status.failed);
}

std::string get_stat_detail(Farm& farm) {
    const Status status = farm.status();
    std::string devices;
    for (size_t i = 0; i < status.devices.size(); i++) {
        const DeviceStatus& device = status.devices[i];
        const bool suspended = !device.suspended.empty();
        std::string reason = "null";
        if (suspended) reason = json::quote(device.suspended);
        else if (device.paused) reason = "\"api\"";
        devices += text(R"(%s{"_index":%zu,"_mode":%s,"hardware":{"name":%s,"pci":%s,"sensors":[%u,%u,%.2f],"type":%s},)"
                        R"("mining":{"hashrate":%s,"pause_reason":%s,"paused":%s,"segment":["0x%016)" PRIx64
                        R"(","0x%016)" PRIx64 R"("],"shares":%s}})",
                        i ? "," : "", i, json::quote(device.info->mode).c_str(), json::quote(device.info->name).c_str(),
                        json::quote(device.info->id).c_str(), device.sensors.celsius, device.sensors.fan_percent,
                        device.sensors.watts, device.info->type == "Cpu" ? "\"CPU\"" : "\"GPU\"", hex32(device.rate).c_str(),
                        reason.c_str(), suspended || device.paused ? "true" : "false", device.first_nonce, device.last_nonce,
                        shares(device.shares.accepted, device.shares.rejected, device.shares.failed, device.shares.last).c_str());
    }
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    return text(R"({"connection":{"connected":true,"switches":0,"uri":"%s://%s"},"devices":[%s],)"
                R"("host":{"name":%s,"runtime":%lld,"version":"ethminer-)" MINER_VERSION
                R"("},"mining":{"difficulty":%.0f,"epoch":%u,"epoch_changes":0,"hashrate":%s,"shares":%s},"monitors":null})",
                farm.simulates() ? "simulation" : "stratum1+tcp", farm.where().c_str(), devices.c_str(), json::quote(host).c_str(),
                static_cast<long long>(status.running.count()), status.difficulty,
                status.epoch, hex32(status.rate).c_str(), shares(status.accepted, status.rejected, status.failed, status.last).c_str());
}

std::string pause_gpu(Farm& farm, const json::Value* params) {
    const json::Value* index = params ? params->find("index") : nullptr;
    const json::Value* pause = params ? params->find("pause") : nullptr;
    if (!index || index->kind != json::Value::kNumber || !pause || pause->kind != json::Value::kBool)
        throw RpcError{-32602, "Invalid params"};
    if (index->raw.find_first_not_of("0123456789") != std::string::npos || index->raw.size() > 6 ||
        !farm.pause(std::stoul(index->raw), pause->raw == "true"))
        throw RpcError{-422, "Index out of bounds"};
    return "true";
}

std::string call(const std::string& method, const json::Value* params, bool read_only, Farm& farm) {
    if (method == "miner_ping") return "\"pong\"";
    if (method == "miner_getstat1") return get_stat1(farm);
    if (method == "miner_getstatdetail") return get_stat_detail(farm);
    if (method == "miner_pausegpu" && !read_only) return pause_gpu(farm, params);
    throw RpcError{-32601, "Method not found"};
}

}  // namespace

std::string answer(const std::string& request, bool read_only, Farm& farm) {
    std::string id = "null";
    std::string outcome;
    try {
        json::Value in;
        if (!json::parse(request, in)) throw RpcError{-32700, "Parse error"};
        const json::Value* given_id = in.find("id");
        if (given_id && given_id->kind != json::Value::kArray && given_id->kind != json::Value::kObject) id = given_id->raw;
        const json::Value* version = in.find("jsonrpc");
        const json::Value* method = in.find("method");
        if (!given_id || !version || version->text != "2.0" || !method || method->kind != json::Value::kString)
            throw RpcError{-32600, "Invalid Request"};
        outcome = "\"result\":" + call(method->text, in.find("params"), read_only, farm);
    } catch (const RpcError& error) {
        outcome = text(R"("error":{"code":%d,"message":"%s"})", error.code, error.message);
    }
    return "{\"id\":" + id + ",\"jsonrpc\":\"2.0\"," + outcome + "}";
}

Api::Api(const std::string& address, uint16_t port, bool read_only, Farm& farm) : farm_(farm), read_only_(read_only) {
    const std::string where = address + ":" + std::to_string(port);
    const auto refuse = [&](const char* why) { return std::runtime_error("--api-bind: cannot listen on " + where + ": " + why); };

    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    if (const int rc = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found); rc != 0)
        throw refuse("not an IP address");
    listener_ = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Lets a restarted miner bind while connections of the old one are in TIME_WAIT.
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool listening =
        listener_ >= 0 && bind(listener_, found->ai_addr, found->ai_addrlen) == 0 && listen(listener_, 16) == 0;
    const int error = errno;
    freeaddrinfo(found);
    if (!listening || pipe2(wake_, O_CLOEXEC) != 0) {
        if (listener_ >= 0) close(listener_);
        throw refuse(strerror(listening ? errno : error));
    }
    logging::line(logging::kNote, "Api server listening on %s%s", where.c_str(), read_only ? " (read only)" : "");
    thread_ = std::thread(&Api::serve, this);
}

Api::~Api() {
    close(wake_[1]);
    thread_.join();
    close(wake_[0]);
    close(listener_);
}

void Api::serve() {
    logging::name_thread("api");
    struct Client {
        int fd;
        std::string in;
    };
    std::vector<Client> clients;
    for (;;) {
        std::vector<pollfd> waiting{{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
        for (const Client& client : clients) waiting.push_back({client.fd, POLLIN, 0});
        if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) break;
        if (waiting[0].revents) break;

        for (size_t i = 0; i < clients.size(); i++) {
            if (!waiting[i + 2].revents) continue;
            Client& client = clients[i];
            char buffer[4096];
            const ssize_t got = recv(client.fd, buffer, sizeof buffer, 0);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            bool keep = got > 0;
            if (keep) client.in.append(buffer, static_cast<size_t>(got));
            for (size_t end; keep && (end = client.in.find('\n')) != std::string::npos;) {
                const std::string out = answer(client.in.substr(0, end), read_only_, farm_) + "\n";
                client.in.erase(0, end + 1);
                // Responses are small: a client with a full buffer does not read, and is disconnected.
                keep = send(client.fd, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
            }
            if (keep && client.in.size() <= kLongestRequest) continue;
            close(client.fd);
            client.fd = -1;
        }
        for (size_t i = clients.size(); i-- > 0;)
            if (clients[i].fd < 0) clients.erase(clients.begin() + static_cast<ptrdiff_t>(i));

        if (waiting[1].revents) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0 && clients.size() >= kMostClients) close(fd);
            else if (fd >= 0) clients.push_back({fd, {}});
        }
    }
    for (const Client& client : clients) close(client.fd);
}
