// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

#include "json.h"

#include <cstdio>

namespace json {
namespace {

class Parser {
public:
    explicit Parser(const std::string& in) : in_(in) {}

    bool document(Value& out) {
        if (!value(out, 0)) return false;
        space();
        return at_ == in_.size();
    }

private:
    static constexpr int kDeepest = 32;

    char peek() const { return at_ < in_.size() ? in_[at_] : '\0'; }
    bool take(char c) { return peek() == c && ++at_; }
    bool digit() const { return peek() >= '0' && peek() <= '9'; }
    void space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n') at_++;
    }
    bool word(const char* text) {
        for (; *text; text++)
            if (!take(*text)) return false;
        return true;
    }

    bool value(Value& out, int depth) {
        space();
        const size_t begin = at_;
        if (!inner(out, depth)) return false;
        out.raw = in_.substr(begin, at_ - begin);
        return true;
    }

    bool inner(Value& out, int depth) {
        switch (peek()) {
            case 'n': out.kind = Value::kNull; return word("null");
            case 't': out.kind = Value::kBool; return word("true");
            case 'f': out.kind = Value::kBool; return word("false");
            case '"': out.kind = Value::kString; return string(out.text);
            case '[': out.kind = Value::kArray; return depth < kDeepest && array(out, depth);
            case '{': out.kind = Value::kObject; return depth < kDeepest && object(out, depth);
            default: out.kind = Value::kNumber; return number();
        }
    }

    bool array(Value& out, int depth) {
        at_++;
        space();
        if (take(']')) return true;
        do {
            out.items.emplace_back();
            if (!value(out.items.back(), depth + 1)) return false;
            space();
        } while (take(','));
        return take(']');
    }

    bool object(Value& out, int depth) {
        at_++;
        space();
        if (take('}')) return true;
        do {
            out.members.emplace_back();
            space();
            if (!string(out.members.back().first)) return false;
            space();
            if (!take(':') || !value(out.members.back().second, depth + 1)) return false;
            space();
        } while (take(','));
        return take('}');
    }

    bool number() {
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            return digits();
        }
        return true;
    }
    bool digits() {
        if (!digit()) return false;
        while (digit()) at_++;
        return true;
    }

    bool string(std::string& out) {
        if (!take('"')) return false;
        while (at_ < in_.size()) {
            const char c = in_[at_++];
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c != '\\') {
                out += c;
                continue;
            }
            switch (const char escaped = peek(); at_++, escaped) {
                case '"': case '\\': case '/': out += escaped; break;
                case 'b': out += '\b'; break;
                case 'f': out += '\f'; break;
                case 'n': out += '\n'; break;
                case 'r': out += '\r'; break;
                case 't': out += '\t'; break;
                case 'u': if (!unicode(out)) return false; break;
                default: return false;
            }
        }
        return false;
    }

    // All names of interest are ASCII, so other characters become a question mark.
    bool unicode(std::string& out) {
        unsigned code = 0;
        for (int i = 0; i < 4; i++, at_++) {
            const char c = peek();
            if (digit()) code = code * 16 + static_cast<unsigned>(c - '0');
            else if ((c | 32) >= 'a' && (c | 32) <= 'f') code = code * 16 + static_cast<unsigned>((c | 32) - 'a' + 10);
            else return false;
        }
        out += code < 0x80 ? static_cast<char>(code) : '?';
        return true;
    }

    const std::string& in_;
    size_t at_ = 0;
};

}  // namespace

const Value* Value::find(const std::string& name) const {
    for (const auto& member : members)
        if (member.first == name) return &member.second;
    return nullptr;
}

bool parse(const std::string& in, Value& out) { return Parser(in).document(out); }

std::string quote(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        char escape[8];
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            out += escape;
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace json
