// A number for a text, or for a row of numbers: the same on every machine of one byte order.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace triga {

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
inline uint64_t hash(std::string_view bytes) {
  uint64_t value = 0xcbf29ce484222325ULL;
  for (const char byte : bytes)
    value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return value;
}

inline uint64_t hash(std::span<const uint64_t> words) {
  return hash(std::string_view(reinterpret_cast<const char*>(words.data()), words.size_bytes()));
}

}  // namespace triga
