// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "log.h"

#include <cstdarg>
#include <cstdio>
#include <ctime>

namespace logging {
namespace {

Settings settings;
thread_local std::string thread_name = "main";

std::string format_list(const char* format, va_list list) {
    va_list again;
    va_copy(again, list);
    std::string out(static_cast<size_t>(vsnprintf(nullptr, 0, format, list)), '\0');
    vsnprintf(out.data(), out.size() + 1, format, again);
    va_end(again);
    return out;
}

}  // namespace

void configure(const Settings& wanted) { settings = wanted; }
void name_thread(const std::string& name) { thread_name = name; }

void line(const char* channel, const char* format, ...) {
    va_list list;
    va_start(list, format);
    const std::string message = format_list(format, list);
    va_end(list);

    std::string out;
    if (settings.time) {
        const time_t now = time(nullptr);
        tm local;
        char clock[16];
        strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
        out = settings.colour ? text("\x1b[33m%s\x1b[0m \x1b[35m%s\x1b[0m \x1b[34m%-8s\x1b[0m ", channel, clock, thread_name.c_str())
                              : text("%s %s %-8s ", channel, clock, thread_name.c_str());
    }
    out += message + '\n';
    FILE* to = settings.to_stdout ? stdout : stderr;
    fwrite(out.data(), 1, out.size(), to);
    fflush(to);
}

std::string text(const char* format, ...) {
    va_list list;
    va_start(list, format);
    std::string out = format_list(format, list);
    va_end(list);
    return out;
}

Scale scale_of(double hashes_per_second) {
    static constexpr Scale kScales[] = {{1, "h"}, {1e3, "Kh"}, {1e6, "Mh"}, {1e9, "Gh"}};
    int i = 0;
    while (i < 3 && hashes_per_second >= 1000 * kScales[i].divisor) i++;
    return kScales[i];
}

std::string rate(double hashes_per_second, int decimals) {
    const Scale scale = scale_of(hashes_per_second);
    return text("%.*f %s", decimals, hashes_per_second / scale.divisor, scale.unit);
}

std::string size(uint64_t bytes) {
    static constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
    auto value = static_cast<double>(bytes);
    int i = 0;
    while (i < 4 && value >= 1024) value /= 1024, i++;
    return text("%.2f %s", value, kUnits[i]);
}

}  // namespace logging
