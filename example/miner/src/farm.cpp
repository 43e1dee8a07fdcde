// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "farm.h"

#include <sys/random.h>

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <stdexcept>

#include "log.h"

using logging::kNote;
using logging::kWarning;

namespace {

constexpr int kSegmentBits = 40;  // bits of each device's nonce range

constexpr double kShortest = 0.5;  // seconds; shorter rates are too imprecise

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::string abridged(const ethash::Hash256& hash) {
    return logging::text("%02x%02x%02x%02x...", hash.bytes[0], hash.bytes[1], hash.bytes[2], hash.bytes[3]);
}

void announce(const Job& job, const std::string& where) {
    logging::line(kNote, "Job: %s %s", abridged(job.header).c_str(), where.c_str());
}

void random_bytes(void* to, size_t size) {
    if (getrandom(to, size, 0) != static_cast<ssize_t>(size)) throw std::runtime_error("the system gives no random numbers");
}

}  // namespace

Farm::Farm(ethash::Light& light, std::vector<std::unique_ptr<Device>> devices, Settings settings)
    : light_(light), settings_(std::move(settings)) {
    uint64_t first_nonce;
    random_bytes(&first_nonce, sizeof first_nonce);
    for (auto& device : devices) {
        slots_.push_back(std::make_unique<Slot>());
        slots_.back()->first_nonce = first_nonce + (uint64_t{slots_.size() - 1} << kSegmentBits);
        slots_.back()->device = std::move(device);
    }
    if (settings_.job) set_job(*settings_.job);
    else choose_job();
}

// The difficulty is the sum of the devices', so that each finds a solution every few seconds as if it mined alone.
void Farm::choose_job() {
    uint64_t difficulty = 0;
    for (const auto& slot : slots_) difficulty += slot->device->difficulty();
    Job job;
    random_bytes(&job.header, sizeof job.header);
    job.boundary = ethash::boundary(difficulty < 1 ? 1 : difficulty > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(difficulty));
    set_job(job);
}

void Farm::set_job(const Job& job) {
    {
        std::lock_guard lock(mutex_);
        job_ = job;
        difficulty_ = ethash::difficulty(job.boundary);
    }
    if (started_ != Clock::time_point{}) announce(job, settings_.where);
}

Job Farm::job() {
    std::lock_guard lock(mutex_);
    return job_;
}

void Farm::start() {
    started_ = Clock::now();
    logging::line(kNote, "Epoch : %u Difficulty : %s", light_.epoch(), logging::rate(difficulty_, 2).c_str());
    announce(job(), settings_.where);
    for (size_t i = 0; i < slots_.size(); i++) slots_[i]->thread = std::thread(&Farm::work, this, i);
}

void Farm::stop() {
    stop_ = true;
    light_.stop();
    for (auto& slot : slots_)
        if (slot->thread.joinable()) slot->thread.join();
}

void Farm::work(size_t number) {
    Slot& slot = *slots_[number];
    const DeviceInfo& info = slot.device->info();
    logging::name_thread(info.thread);
    try {
        logging::line(info.channel.c_str(), "Using %s : %s Memory : %s", info.id.c_str(), info.name.c_str(),
                      logging::size(info.memory).c_str());
        mine(number);
    } catch (const std::exception& error) {
        logging::line(kWarning, "%s", error.what());
        logging::line(kWarning, "Mining suspended ...");
        {
            std::lock_guard lock(mutex_);
            slot.suspended = error.what();
        }
        if (settings_.on_failure) settings_.on_failure();
    }
}

// Logs the first caller's wait; all wait.
void Farm::await_light() {
    std::call_once(light_once_, [this] {
        logging::line(kNote, "Generating Light cache : %s (of the DAG's %s, each item is computed when it is needed)",
                      logging::size(ethash::cache_bytes(light_.epoch())).c_str(),
                      logging::size(ethash::dataset_bytes(light_.epoch())).c_str());
        const double took = light_.seconds();
        if (!stop_) logging::line(kNote, "Generated Light cache in %.0f ms.", 1000 * took);
    });
}

void Farm::mine(size_t number) {
    Slot& slot = *slots_[number];
    slot.device->open(light_);
    await_light();
    if (stop_) return;
    slot.device->prepare(light_);
    {
        std::lock_guard lock(mutex_);
        if (mining_since_.hashes.empty()) {
            mining_since_ = count();
            samples_ = {mining_since_};
        }
    }
    uint64_t nonce = slot.first_nonce;
    std::vector<Solution> found;
    while (!stop_) {
        if (slot.paused) {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            continue;
        }
        found.clear();
        const Job now = job();
        const uint64_t tried = slot.device->search(now, nonce, found);
        nonce += tried;
        slot.hashes += tried;
        for (const Solution& solution : found) submit(number, now, solution);
    }
}

// A solution counts, or goes to the pool, only if the plain evaluation, which the search does not use, confirms it.
void Farm::submit(size_t number, const Job& job, const Solution& solution) {
    Slot& slot = *slots_[number];
    const DeviceInfo& info = slot.device->info();
    logging::line(info.channel.c_str(), "Job: %s Sol: 0x%016" PRIx64, abridged(job.header).c_str(), solution.nonce);
    const auto begin = Clock::now();
    const ethash::Evaluation truth = ethash::evaluate(light_, job.header, solution.nonce);
    const bool right = memcmp(truth.mix.bytes, solution.mix.bytes, sizeof truth.mix.bytes) == 0 &&
                       ethash::at_or_below(truth.result, job.boundary);
    if (!right) {
        logging::line(kWarning, "GPU %zu gave incorrect result. Lower overclocking values if it happens frequently.", number);
        std::lock_guard lock(mutex_);
        slot.shares.failed++;
    } else if (settings_.submit) {
        settings_.submit(number, job, solution);
    } else {
        settle(number, true, 1000 * seconds(Clock::now() - begin));
    }
}

void Farm::settle(size_t number, bool accepted, double milliseconds) {
    logging::line(accepted ? kNote : kWarning, "**%s %3.0f ms. %s", accepted ? "Accepted" : "Rejected", milliseconds,
                  settings_.where.c_str());
    std::lock_guard lock(mutex_);
    Shares& shares = slots_[number]->shares;
    if (!accepted) {
        shares.rejected++;
        return;
    }
    shares.accepted++;
    shares.last = Clock::now();
}

Farm::Sample Farm::count() const {
    Sample sample{Clock::now(), {}};
    for (const auto& slot : slots_) sample.hashes.push_back(slot->hashes);
    return sample;
}

void Farm::sample() {
    std::lock_guard lock(mutex_);
    if (mining_since_.hashes.empty()) return;
    samples_.push_back(count());
    // Half a second of tolerance, since samples are not exactly one second apart.
    const auto oldest = samples_.back().time - settings_.window - std::chrono::milliseconds(500);
    while (samples_.size() > 2 && samples_.front().time < oldest) samples_.erase(samples_.begin());
    double total = 0;
    for (size_t i = 0; i < slots_.size(); i++)
        total += static_cast<double>(samples_.back().hashes[i] - samples_.front().hashes[i]);
    const double time = seconds(samples_.back().time - samples_.front().time);
    if (time >= kShortest) best_ = std::max(best_, total / time);
}

Status Farm::status() {
    std::lock_guard lock(mutex_);
    Status status{};
    status.running = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_);
    status.epoch = light_.epoch();
    status.difficulty = difficulty_;
    const double time = samples_.empty() ? 0 : seconds(samples_.back().time - samples_.front().time);
    for (size_t i = 0; i < slots_.size(); i++) {
        Slot& slot = *slots_[i];
        double rate = 0;
        if (time >= kShortest) rate = static_cast<double>(samples_.back().hashes[i] - samples_.front().hashes[i]) / time;
        status.rate += rate;
        status.accepted += slot.shares.accepted;
        status.rejected += slot.shares.rejected;
        status.failed += slot.shares.failed;
        status.last = std::max(status.last, slot.shares.last);
        status.devices.push_back({&slot.device->info(), rate, slot.paused, slot.suspended, slot.device->sensors(), slot.shares,
                                  slot.first_nonce, slot.first_nonce + (uint64_t{1} << kSegmentBits)});
    }
    return status;
}

bool Farm::pause(size_t device, bool paused) {
    if (device >= slots_.size()) return false;
    slots_[device]->paused = paused;
    return true;
}

double Farm::mean() {
    std::lock_guard lock(mutex_);
    if (mining_since_.hashes.empty()) return 0;
    uint64_t hashes = 0;
    for (const auto& slot : slots_) hashes += slot->hashes;
    const double time = seconds(Clock::now() - mining_since_.time);
    return time > 0 ? static_cast<double>(hashes) / time : 0;
}
