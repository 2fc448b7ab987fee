// FixedText: text put together in memory that is there already, as a signal handler must; and where
// a text that is too long may be cut.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <string_view>

namespace triga {

/// The longest beginning of up to `most_bytes` that cuts no character of UTF-8; in what is not UTF-8
/// anywhere. Async-signal-safe.
inline std::string_view beginning_of(std::string_view text, size_t most_bytes) noexcept {
  if (text.size() <= most_bytes) return text;
  constexpr size_t kMostFollowing = 3;  // bytes of a character after its first
  const auto follows = [&](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  size_t end = most_bytes;
  while (end > 0 && most_bytes - end < kMostFollowing && follows(end)) --end;
  return {text.data(), follows(end) ? most_bytes : end};
}

/// What does not fit is left out, and all that comes after it. Async-signal-safe.
class FixedText {
 public:
  explicit FixedText(std::span<char> buffer) : buffer_(buffer) {}
  void add(std::string_view text) noexcept {
    const std::string_view fitting = beginning_of(text, buffer_.size() - size_);
    std::copy_n(fitting.data(), fitting.size(), buffer_.data() + size_);
    size_ += fitting.size();
    if (fitting.size() < text.size()) buffer_ = buffer_.first(size_);
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
