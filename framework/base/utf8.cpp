// One step decides how many bytes at an offset belong together; both functions walk with it.
#include "base/utf8.h"

#include <cstdint>
#include <cstring>

namespace triga {
namespace {

struct Piece {
  size_t num_bytes;  // at least 1
  bool is_valid;     // else: a maximal part of a sequence that does not go on as it should
};

/// Requires: at < bytes.size().
Piece piece_at(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {1, true};
  size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // allowed for the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;   // no overlong forms
    if (lead == 0xED) high = 0x9F;  // no surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;  // not above U+10FFFF
  } else {
    return {1, false};
  }
  for (size_t i = 1; i < length; ++i) {
    if (at + i >= bytes.size() || byte(at + i) < low || byte(at + i) > high) return {i, false};
    low = 0x80, high = 0xBF;
  }
  return {length, true};
}

/// Offset of the first byte at or after `at` that is not ASCII, or near it: whole words are
/// skipped.
size_t skip_ascii(std::string_view bytes, size_t at) {
  constexpr uint64_t kHighBits = 0x8080808080808080ULL;
  for (uint64_t word; at + sizeof word <= bytes.size(); at += sizeof word) {
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if (word & kHighBits) break;
  }
  return at;
}

}  // namespace

std::optional<size_t> find_invalid_utf8(std::string_view bytes) {
  for (size_t at = skip_ascii(bytes, 0); at < bytes.size();) {
    const Piece piece = piece_at(bytes, at);
    if (!piece.is_valid) return at;
    at += piece.num_bytes;
    if (piece.num_bytes == 1) at = skip_ascii(bytes, at);
  }
  return std::nullopt;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const Piece piece = piece_at(bytes, at);
    text += piece.is_valid ? bytes.substr(at, piece.num_bytes) : std::string_view("\xEF\xBF\xBD");
    at += piece.num_bytes;
  }
  return text;
}

}  // namespace triga
