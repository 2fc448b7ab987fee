#include "common/utf8_stream.h"

#include <cstdint>

namespace triga::common {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Range {
  uint8_t from, to;
};

/// Bytes of the character that starts with `first`; 0: none does.
size_t character_bytes(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

/// What the second byte may be: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode,
/// table 3-7).
Range second_byte(uint8_t first) {
  switch (first) {
    case 0xE0:
      return {0xA0, 0xBF};
    case 0xED:
      return {0x80, 0x9F};
    case 0xF0:
      return {0x90, 0xBF};
    case 0xF4:
      return {0x80, 0x8F};
    default:
      return {0x80, 0xBF};
  }
}

}  // namespace

std::string Utf8Stream::add(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (!pending_.empty()) {
      const auto range =
          pending_.size() == 1 ? second_byte(static_cast<uint8_t>(pending_[0])) : Range{0x80, 0xBF};
      if (byte >= range.from && byte <= range.to) {
        pending_ += c;
        if (pending_.size() == character_bytes(static_cast<uint8_t>(pending_[0]))) {
          out += pending_;
          pending_.clear();
        }
        continue;
      }
      out += finish();  // broken off: one replacement for its start, then this byte anew
    }
    switch (character_bytes(byte)) {
      case 0:
        out += kReplacement;
        break;
      case 1:
        out += c;
        break;
      default:
        pending_ = c;
    }
  }
  return out;
}

std::string Utf8Stream::finish() {
  if (pending_.empty()) return {};
  pending_.clear();
  return std::string(kReplacement);
}

}  // namespace triga::common
