// FixedText: text put together in memory that is there already, as a signal handler must.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <string_view>

namespace triga {

/// What does not fit is left out. Async-signal-safe.
class FixedText {
 public:
  explicit FixedText(std::span<char> buffer) : buffer_(buffer) {}
  void add(std::string_view text) noexcept {
    const size_t count = std::min(text.size(), buffer_.size() - size_);
    std::copy_n(text.data(), count, buffer_.data() + size_);
    size_ += count;
  }
  void add(int64_t number) noexcept {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    add(std::string_view(digits.data(), static_cast<size_t>(end - digits.data())));
  }
  std::string_view view() const noexcept { return {buffer_.data(), size_}; }

 private:
  std::span<char> buffer_;
  size_t size_ = 0;
};

}  // namespace triga
