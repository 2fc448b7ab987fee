// SharedText: a short text in memory shared with other processes, written by one thread at a time
// and read by any, without locks: a writer that is killed in the middle leaves a torn text and
// never a reader that waits.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "base/fixed_text.h"

namespace triga {

/// All zero bytes is the empty text. Texts longer than kBytes are cut, between two characters.
template <size_t kBytes>
class SharedText {
  static_assert(kBytes % sizeof(uint64_t) == 0);

 public:
  /// Async-signal-safe.
  void store(std::string_view text) noexcept {
    text = beginning_of(text, kBytes);
    const uint32_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1, std::memory_order_relaxed);  // odd: being written
    for (size_t i = 0; i < words_.size(); ++i) {
      uint64_t word = 0;
      const size_t begin = i * sizeof(word);
      if (begin < text.size())
        std::memcpy(&word, text.data() + begin, std::min(sizeof(word), text.size() - begin));
      words_[i].store(word, std::memory_order_release);  // keeps the odd version before it
    }
    version_.store(version + 2, std::memory_order_release);
  }

  std::string load() const {
    std::array<char, kBytes> text;
    for (int attempt = 0; attempt < 200; ++attempt) {
      if (attempt > 100) std::this_thread::sleep_for(std::chrono::microseconds(50));
      const uint32_t before = version_.load(std::memory_order_acquire);
      for (size_t i = 0; i < words_.size(); ++i) {
        const uint64_t word = words_[i].load(std::memory_order_acquire);
        std::memcpy(text.data() + i * sizeof(word), &word, sizeof(word));
      }
      if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) break;
    }
    return {text.data(), strnlen(text.data(), text.size())};
  }

 private:
  std::atomic<uint32_t> version_{0};
  std::array<std::atomic<uint64_t>, kBytes / sizeof(uint64_t)> words_{};
};

}  // namespace triga
