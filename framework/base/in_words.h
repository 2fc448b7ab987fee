// Amounts as messages say them.
#pragma once

#include <fmt/format.h>

#include <string>

namespace triga {

/// "512 MB", "1.5 GB": of 1e6 and 1e9 bytes.
inline std::string bytes_in_words(double bytes) {
  return bytes < 1e9 ? fmt::format("{:.0f} MB", bytes * 1e-6)
                     : fmt::format("{:.1f} GB", bytes * 1e-9);
}

}  // namespace triga
