// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "pool.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "json.h"
#include "log.h"

using logging::text;
using std::chrono::steady_clock;

namespace {

constexpr int kPatience = 20;  // seconds for a response during login
constexpr size_t kLongestLine = 64 * 1024;
constexpr size_t kMostUnsettled = 1000;

std::string unescape(const std::string& in) {
    std::string out;
    for (size_t i = 0; i < in.size(); i++) {
        if (in[i] == '%' && i + 2 < in.size() && isxdigit(static_cast<unsigned char>(in[i + 1])) &&
            isxdigit(static_cast<unsigned char>(in[i + 2]))) {
            out += static_cast<char>(strtol(in.substr(i + 1, 2).c_str(), nullptr, 16));
            i += 2;
        } else {
            out += in[i];
        }
    }
    return out;
}

std::string hex(const ethash::Hash256& hash) {
    std::string out = "0x";
    for (const uint8_t byte : hash.bytes) out += text("%02x", byte);
    return out;
}

// "0x" and up to 64 digits: pools omit leading zeros of a boundary.
bool parse_hash(const std::string& in, ethash::Hash256& out) {
    const size_t digits = in.size() - 2;
    if (in.size() < 3 || in.compare(0, 2, "0x") != 0 || digits > 64) return false;
    const std::string padded = std::string(64 - digits, '0') + in.substr(2);
    if (padded.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return false;
    for (size_t i = 0; i < 32; i++)
        out.bytes[i] = static_cast<uint8_t>(strtol(padded.substr(2 * i, 2).c_str(), nullptr, 16));
    return true;
}

bool epoch_of(const ethash::Hash256& seed, uint32_t& epoch) {
    for (epoch = 0; epoch <= ethash::kMaxEpoch; epoch++) {
        const ethash::Hash256 known = ethash::seed_hash(epoch);
        if (memcmp(known.bytes, seed.bytes, sizeof known.bytes) == 0) return true;
    }
    return false;
}

}  // namespace

PoolAddress parse_pool(const std::string& url) {
    // Omits the part before the host, which may be a password.
    const auto bad = [&] {
        return std::invalid_argument("\"" + url.substr(0, url.find("://")) + "://...@" + url.substr(url.rfind('@') + 1) +
                                     "\" is not stratum1+tcp://USER[.WORKER][:PASSWORD]@HOST:PORT");
    };
    PoolAddress address;
    const size_t scheme = url.find("://"), at = url.rfind('@'), colon = url.rfind(':');
    if (scheme == std::string::npos || at == std::string::npos || at < scheme || colon == std::string::npos || colon < at) throw bad();
    const std::string name = url.substr(0, scheme);
    if (name != "stratum1+tcp" && name != "stratum1" && name != "stratum+tcp" && name != "stratum") throw bad();
    std::string user = url.substr(scheme + 3, at - scheme - 3);
    if (const size_t end = user.find(':'); end != std::string::npos) {
        address.password = unescape(user.substr(end + 1));
        user.resize(end);
    }
    if (const size_t end = user.find('.'); end != std::string::npos) {
        address.worker = unescape(user.substr(end + 1));
        user.resize(end);
    }
    address.user = unescape(user);
    address.host = url.substr(at + 1, colon - at - 1);
    if (address.host.empty()) throw bad();
    address.port = url.substr(colon + 1);
    if (address.host.front() == '[' && address.host.back() == ']') address.host = address.host.substr(1, address.host.size() - 2);
    if (address.user.empty() || address.port.empty() ||
        address.port.find_first_not_of("0123456789") != std::string::npos)
        throw bad();
    return address;
}

Pool::Pool(PoolAddress address) : address_(std::move(address)) {
    connect();
    logging::line(logging::kNote, "Established connection to %s", where().c_str());
    std::string login = "[" + json::quote(address_.user);
    if (!address_.password.empty()) login += "," + json::quote(address_.password);
    const std::string answer = call("eth_submitLogin", login + "]", 1);
    json::Value in;
    const json::Value* result = json::parse(answer, in) ? in.find("result") : nullptr;
    if (!result || result->raw != "true") throw std::runtime_error(where() + " does not let " + address_.user + " in: " + answer);
    logging::line(logging::kNote, "Authorized worker %s", address_.user.c_str());
    const std::string work = call("eth_getWork", "[]", 2);
    if (!take_job(work)) throw std::runtime_error(where() + " gives no work: " + work);
}

void Pool::hang_up() {
    stop_ = true;
    shutdown(socket_, SHUT_RDWR);
}

Pool::~Pool() {
    hang_up();
    if (thread_.joinable()) thread_.join();
    close(socket_);
}

void Pool::connect() {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (const int rc = getaddrinfo(address_.host.c_str(), address_.port.c_str(), &hints, &found); rc != 0)
        throw std::runtime_error("cannot resolve " + address_.host + ": " + gai_strerror(rc));
    int error = 0;
    for (const addrinfo* one = found; one && socket_ < 0; one = one->ai_next) {
        const int fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && ::connect(fd, one->ai_addr, one->ai_addrlen) == 0) {
            socket_ = fd;
            break;
        }
        error = errno;
        if (fd >= 0) close(fd);
    }
    freeaddrinfo(found);
    const timeval patience{kPatience, 0};
    if (socket_ >= 0) setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (socket_ < 0) throw std::runtime_error("cannot connect to " + where() + ": " + strerror(error));
}

// If the pool does not accept the line within kPatience, the connection counts as closed.
void Pool::ask(int id, const char* method, const std::string& params) {
    std::lock_guard lock(sending_);
    std::string out = text(R"({"id":%d,"jsonrpc":"2.0","method":"%s","params":%s)", id, method, params.c_str());
    if (!address_.worker.empty()) out += ",\"worker\":" + json::quote(address_.worker);
    out += "}\n";
    size_t sent = 0;
    while (sent < out.size()) {
        const ssize_t n = send(socket_, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (n <= 0 && errno != EINTR) {
            shutdown(socket_, SHUT_RDWR);  // the reader notices
            return;
        }
        if (n > 0) sent += static_cast<size_t>(n);
    }
}

bool Pool::read_line(std::string& line, int seconds) {
    const auto end_of_patience = steady_clock::now() + std::chrono::seconds(seconds);
    for (;;) {
        if (const size_t end = in_.find('\n'); end != std::string::npos) {
            line = in_.substr(0, end);
            in_.erase(0, end + 1);
            return true;
        }
        pollfd waiting{socket_, POLLIN, 0};
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_of_patience - steady_clock::now()).count();
        const int ready = poll(&waiting, 1, seconds < 0 ? -1 : static_cast<int>(std::max<int64_t>(0, left)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0 || in_.size() > kLongestLine) return false;
        char buffer[4096];
        const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
        if (got <= 0) return false;
        in_.append(buffer, static_cast<size_t>(got));
    }
}

// Sends a request and skips other lines until the response.
std::string Pool::call(const char* method, const std::string& params, int id) {
    ask(id, method, params);
    std::string line;
    const auto begin = steady_clock::now();
    for (;;) {
        const auto passed = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - begin).count();
        if (passed >= kPatience || !read_line(line, kPatience - static_cast<int>(passed))) break;
        json::Value in;
        const json::Value* given = json::parse(line, in) ? in.find("id") : nullptr;
        if (given && given->raw == std::to_string(id)) return line;
    }
    throw std::runtime_error(where() + " does not answer to " + method);
}

// Parses [header, seed, boundary].
bool Pool::take_job(const std::string& line) {
    json::Value in;
    const json::Value* result = json::parse(line, in) ? in.find("result") : nullptr;
    if (!result || result->kind != json::Value::kArray || result->items.size() < 3) return false;
    Job job;
    ethash::Hash256 seed;
    if (!parse_hash(result->items[0].text, job.header) || !parse_hash(result->items[1].text, seed) ||
        !parse_hash(result->items[2].text, job.boundary))
        return false;
    uint32_t epoch = 0;
    if (!epoch_of(seed, epoch)) throw std::runtime_error(where() + " mines an epoch that is beyond " + std::to_string(ethash::kMaxEpoch));
    if (listener_.job && epoch != epoch_) throw std::runtime_error(where() + " has gone to epoch " + std::to_string(epoch) + ": start again");
    epoch_ = epoch;
    job_ = job;
    return true;
}

void Pool::listen(Listener listener) {
    listener_ = std::move(listener);
    thread_ = std::thread(&Pool::serve, this);
}

void Pool::serve() {
    logging::name_thread("stratum");
    std::string why = where() + " has closed the connection", line;
    try {
        while (read_line(line, -1)) {
            json::Value in;
            if (!json::parse(line, in)) continue;
            const json::Value* id = in.find("id");
            const json::Value* result = in.find("result");
            Sent sent{};
            bool ours = false;
            if (id) {
                std::lock_guard lock(mutex_);
                if (const auto found = sent_.find(atoi(id->raw.c_str())); found != sent_.end()) {
                    sent = found->second;
                    sent_.erase(found);
                    ours = true;
                }
            }
            if (ours)
                listener_.settled(sent.device, result && result->raw == "true",
                                  std::chrono::duration<double, std::milli>(steady_clock::now() - sent.when).count());
            else if (take_job(line))
                listener_.job(job_);
        }
    } catch (const std::exception& error) {
        why = error.what();
    }
    if (stop_) return;
    {
        std::lock_guard lock(mutex_);
        why_lost_ = why;
    }
    listener_.lost();
}

std::string Pool::why_lost() {
    std::lock_guard lock(mutex_);
    return why_lost_;
}

void Pool::submit(size_t device, const Job& job, const Solution& solution) {
    int id;
    {
        std::lock_guard lock(mutex_);
        id = next_id_++;
        if (sent_.size() >= kMostUnsettled) sent_.erase(sent_.begin());
        sent_[id] = {device, steady_clock::now()};
    }
    ask(id, "eth_submitWork",
        text(R"(["0x%016)" PRIx64 R"(","%s","%s"])", solution.nonce, hex(job.header).c_str(), hex(solution.mix).c_str()));
}
