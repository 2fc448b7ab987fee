// Philox and what is made of it. The same integer arithmetic everywhere, so every machine draws the
// same numbers.
#include "triga/random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "base/hash.h"
#include "base/philox.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr double kTwoToMinus32 = 1.0 / 4294967296.0;

/// Two standard normal numbers of two words (Box and Muller 1958). The first word is mapped to (0,
/// 1].
std::pair<double, double> box_muller(uint32_t a, uint32_t b) {
  const double radius = std::sqrt(-2.0 * std::log((a + 1.0) * kTwoToMinus32));
  const double angle = 2.0 * std::numbers::pi * (b * kTwoToMinus32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

void check_fillable(const at::Tensor& tensor) {
  TRIGA_CHECK(tensor.is_contiguous() && tensor.scalar_type() == at::kFloat && tensor.is_cpu(),
              "random values are drawn on the CPU into contiguous fp32");
}

}  // namespace

uint64_t RandomKey::mix(uint64_t a, uint64_t b) {
  uint64_t x = a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2));
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

RandomKey RandomKey::with(std::string_view part) const {
  return RandomKey(mix(mix(value_, hash(part)), part.size()), Raw{});
}

std::array<uint32_t, 4> philox(RandomKey key, uint64_t counter_high, uint64_t counter_low) {
  std::array<uint32_t, 4> words;
  philox_block(key.value(), counter_high, counter_low, words.data());
  return words;
}

uint32_t RandomStream::next() {
  if (num_left_ == 0) {
    words_ = philox(key_, counter_high_, counter_low_++);
    num_left_ = 4;
  }
  return words_[4 - num_left_--];
}

double RandomStream::uniform() {
  const uint64_t high = next(), low = next();
  return static_cast<double>(((high << 32) | low) >> 11) * 0x1.0p-53;
}

double RandomStream::normal() {
  const uint32_t a = next(), b = next();
  return box_muller(a, b).first;
}

int64_t RandomStream::below(int64_t bound) {
  TRIGA_CHECK(bound > 0, "below(", bound, ")");
  const uint64_t range = static_cast<uint64_t>(bound);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % range;  // reject the incomplete last interval
  for (;;) {
    const uint64_t high = next(), value = (high << 32) | next();
    if (value < limit) return static_cast<int64_t>(value % range);
  }
}

void fill_uniform(at::Tensor& tensor, RandomKey key, double from, double to,
                  uint64_t counter_high) {
  check_fillable(tensor);
  float* out = tensor.mutable_data_ptr<float>();
  const int64_t numel = tensor.numel();
  uint32_t words[4];
  for (int64_t i = 0; i < numel; ++i) {
    if (i % 4 == 0) philox_block(key.value(), counter_high, static_cast<uint64_t>(i / 4), words);
    out[i] = static_cast<float>(from + (to - from) * (words[i % 4] * kTwoToMinus32));
  }
}

void fill_normal(at::Tensor& tensor, RandomKey key, double mean, double stddev,
                 uint64_t counter_high) {
  check_fillable(tensor);
  float* out = tensor.mutable_data_ptr<float>();
  const int64_t numel = tensor.numel();
  for (int64_t i = 0; i < numel; i += 4) {
    uint32_t words[4];
    philox_block(key.value(), counter_high, static_cast<uint64_t>(i / 4), words);
    const auto [a, b] = box_muller(words[0], words[1]);
    const auto [c, d] = box_muller(words[2], words[3]);
    const double values[4] = {a, b, c, d};
    for (int64_t k = 0; k < 4 && i + k < numel; ++k)
      out[i + k] = static_cast<float>(mean + stddev * values[k]);
  }
}

int64_t permute(RandomKey key, int64_t size, int64_t i) {
  TRIGA_CHECK(0 <= i && i < size, "permute(", i, ") of ", size);
  constexpr int kNumRounds = 6;
  const int num_bits =
      std::max(2, static_cast<int>(std::bit_width(static_cast<uint64_t>(size - 1))));
  const int half = (num_bits + 1) / 2;  // the domain is 2^(2 half) < 16 * size, so walks are short
  const uint64_t mask = (uint64_t{1} << half) - 1;
  uint64_t x = static_cast<uint64_t>(i);
  do {
    uint64_t left = x >> half, right = x & mask;
    for (int round = 0; round < kNumRounds; ++round) {
      uint32_t words[4];
      philox_block(key.value(), static_cast<uint64_t>(round), right, words);
      const uint64_t f = (static_cast<uint64_t>(words[0]) << 32 | words[1]) & mask;
      const uint64_t next = left ^ f;
      left = right;
      right = next;
    }
    x = left << half | right;
  } while (x >= static_cast<uint64_t>(size));
  return static_cast<int64_t>(x);
}

}  // namespace triga
