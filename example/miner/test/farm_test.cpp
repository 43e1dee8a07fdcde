// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// The farm and the API with fake devices: one correct, two with wrong results, one that fails.
#include "../src/farm.h"

#include <atomic>

#include "../src/api.h"
#include "../src/json.h"
#include "../src/log.h"
#include "check.h"

namespace {

enum Behaviour { kRight, kWrongMix, kWrongNonce, kFails };

class FakeDevice : public Device {
public:
    FakeDevice(Behaviour behaviour, int number) : behaviour_(behaviour) {
        info_.channel = "fk";
        info_.thread = info_.id = "fake-" + std::to_string(number);
        info_.type = info_.mode = "Fake";
        info_.name = "with \"quotes\"";
    }
    const DeviceInfo& info() const override { return info_; }
    uint32_t difficulty() const override { return 4; }
    void prepare(const ethash::Light& light) override {
        if (behaviour_ == kFails) throw std::runtime_error("fake error: invalid device symbol");
        light_ = &light;
    }
    uint64_t search(const Job& job, uint64_t first, std::vector<Solution>& found) override {
        const ethash::Evaluation e = ethash::evaluate(*light_, job.header, first);
        const bool solves = ethash::at_or_below(e.result, job.boundary);
        Solution solution{first, e.mix};
        if (behaviour_ == kWrongMix) solution.mix.bytes[31] ^= 1;
        if (solves != (behaviour_ == kWrongNonce)) found.push_back(solution);
        return 1;
    }

private:
    Behaviour behaviour_;
    DeviceInfo info_;
    const ethash::Light* light_ = nullptr;
};

std::atomic<int> failed_devices{0};

// Samples until done or a generous timeout.
template <typename Done>
bool eventually(Farm& farm, Done done) {
    for (int i = 0; i < 3000; i++) {
        farm.sample();
        if (done(farm.status())) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
}

void test_farm() {
    std::vector<std::unique_ptr<Device>> devices;
    for (const Behaviour b : {kRight, kWrongMix, kWrongNonce, kFails})
        devices.push_back(std::make_unique<FakeDevice>(b, static_cast<int>(devices.size())));
    Farm::Settings settings;
    settings.on_failure = [] { failed_devices++; };
    ethash::Light light(0);
    Farm farm(light, std::move(devices), settings);
    CHECK(farm.mean() == 0);
    farm.start();

    CHECK(eventually(farm, [](const Status& s) {
        return s.devices[0].shares.accepted > 2 && s.devices[1].shares.failed > 2 && s.devices[2].shares.failed > 2 &&
               !s.devices[3].suspended.empty() && s.rate > 0;
    }));
    const Status status = farm.status();
    CHECK(status.difficulty == 16);
    CHECK(status.devices[0].shares.failed == 0);
    CHECK(status.devices[1].shares.accepted == 0);
    CHECK(status.devices[2].shares.accepted == 0);
    CHECK(status.accepted == status.devices[0].shares.accepted);
    CHECK(status.failed == status.devices[1].shares.failed + status.devices[2].shares.failed);
    CHECK_EQUAL("why", status.devices[3].suspended, "fake error: invalid device symbol");
    CHECK(status.devices[3].rate == 0);
    CHECK(status.devices[0].rate > 0);
    CHECK(status.devices[1].first_nonce == status.devices[0].last_nonce);
    CHECK(farm.mean() > 0);
    CHECK(failed_devices == 1);

    const auto code = [&](const char* request, bool read_only) {
        json::Value out;
        const std::string line = answer(request, read_only, farm);
        CHECK(json::parse(line, out));
        CHECK(line.find('\n') == std::string::npos);
        const json::Value* error = out.find("error");
        return error && error->find("code") ? error->find("code")->raw : std::string("none");
    };
    CHECK_EQUAL("ping", answer(R"({"id":"a\"b","jsonrpc":"2.0","method":"miner_ping"})", true, farm),
                R"({"id":"a\"b","jsonrpc":"2.0","result":"pong"})");
    CHECK_EQUAL("detail", code(R"({"id":1,"jsonrpc":"2.0","method":"miner_getstatdetail"})", true), "none");
    CHECK_EQUAL("not JSON", code("{", true), "-32700");
    CHECK_EQUAL("no object", code("[]", true), "-32600");
    CHECK_EQUAL("no version", code(R"({"id":1,"method":"miner_ping"})", true), "-32600");
    CHECK_EQUAL("no id", code(R"({"jsonrpc":"2.0","method":"miner_ping"})", true), "-32600");
    CHECK_EQUAL("gone since 0.19", code(R"({"id":1,"jsonrpc":"2.0","method":"miner_getstathr"})", true), "-32601");

    const char* pause = R"({"id":1,"jsonrpc":"2.0","method":"miner_pausegpu","params":{"index":0,"pause":true}})";
    CHECK_EQUAL("read only", code(pause, true), "-32601");
    CHECK(!farm.status().devices[0].paused);
    CHECK_EQUAL("pause", code(pause, false), "none");
    CHECK(farm.status().devices[0].paused);
    CHECK_EQUAL("no such device", code(R"({"id":1,"jsonrpc":"2.0","method":"miner_pausegpu","params":{"index":4,"pause":true}})", false),
                "-422");
    CHECK_EQUAL("no params", code(R"({"id":1,"jsonrpc":"2.0","method":"miner_pausegpu"})", false), "-32602");
    farm.stop();
}

void test_json() {
    json::Value out;
    for (const char* good : {"0", "-1.5e+3", " [1, {\"a\" : null}] ", "\"\\u0041\\n\"", "{}", "[]", "true"})
        CHECK_EQUAL(good, json::parse(good, out) ? "good" : "bad", "good");
    for (const char* bad : {"", "01", "1.", "[1,]", "{\"a\"}", "{a:1}", "\"a", "\"\n\"", "nul", "1 2", "+1", "\"\\u00g0\"", "-"})
        CHECK_EQUAL(bad, json::parse(bad, out) ? "good" : "bad", "bad");
    CHECK(!json::parse(std::string(100000, '['), out));
    json::Value text;
    CHECK(json::parse("\"\\u0041\\t\"", text));
    CHECK_EQUAL("escapes", text.text, "A\t");
    CHECK_EQUAL("quote", json::quote("a\"\\\n"), R"("a\"\\\u000a")");
}

void test_text() {
    CHECK_EQUAL("rate", logging::rate(0, 2), "0.00 h");
    CHECK_EQUAL("rate", logging::rate(999, 2), "999.00 h");
    CHECK_EQUAL("rate", logging::rate(1000, 2), "1.00 Kh");
    CHECK_EQUAL("rate", logging::rate(25.25e6, 2), "25.25 Mh");
    CHECK_EQUAL("rate", logging::rate(3e12, 6), "3000.000000 Gh");
    CHECK_EQUAL("size", logging::size(16776896), "16.00 MB");
    CHECK_EQUAL("size", logging::size(1023), "1023.00 B");
}

}  // namespace

int main() {
    test_text();
    test_json();
    test_farm();
    return failures ? 1 : 0;
}
