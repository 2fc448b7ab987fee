// Random numbers as pure functions of a key and a counter (Philox 4x32-10; Salmon et al., "Parallel
// Random Numbers: As Easy as 1, 2, 3", SC 2011). There is no state to save and no order to keep:
// the same key and counter give the same number on every rank, in every thread, under
// recomputation. This is what makes the layout not part of the experiment.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace triga {

/// Says which stream of numbers. Made by mixing what the stream depends on:
/// `RandomKey(seed).with(step).with("transformer.h.0").with("attn_dropout")`.
class RandomKey {
 public:
  RandomKey() = default;
  explicit RandomKey(uint64_t seed) : value_(mix(0x9e3779b97f4a7c15ULL, seed)) {}

  RandomKey with(uint64_t part) const { return RandomKey(mix(value_, part), Raw{}); }
  RandomKey with(std::string_view part) const;
  uint64_t value() const { return value_; }
  bool operator==(const RandomKey&) const = default;

 private:
  struct Raw {};
  RandomKey(uint64_t value, Raw) : value_(value) {}
  /// The finaliser of splitmix64 over both: every bit of either changes half of the result's bits.
  static uint64_t mix(uint64_t a, uint64_t b);

  uint64_t value_ = 0;
};

/// Four independent 32-bit words for (key, counter_high, counter_low).
std::array<uint32_t, 4> philox(RandomKey key, uint64_t counter_high, uint64_t counter_low);

/// A sequence of numbers for code that draws one after the other (a sampler, an augmentation).
class RandomStream {
 public:
  explicit RandomStream(RandomKey key, uint64_t counter_high = 0)
      : key_(key), counter_high_(counter_high) {}
  uint32_t next();
  double uniform();              // [0, 1), 53 bits
  double normal();               // mean 0, variance 1 (Box-Muller)
  int64_t below(int64_t bound);  // uniform in [0, bound), without bias. Requires: bound > 0.

 private:
  RandomKey key_;
  uint64_t counter_high_;
  uint64_t counter_low_ = 0;
  std::array<uint32_t, 4> words_{};
  int num_left_ = 0;
};

/// Fill a contiguous fp32 CPU tensor; element i depends on (key, counter_high, i) only.
void fill_uniform(at::Tensor& tensor, RandomKey key, double from, double to,
                  uint64_t counter_high = 0);
void fill_normal(at::Tensor& tensor, RandomKey key, double mean, double stddev,
                 uint64_t counter_high = 0);

/// Element i of a pseudo-random permutation of [0, size), without storing it (a cycle-walking
/// Feistel network over Philox rounds; Black and Rogaway, CT-RSA 2002). The sample order of an
/// epoch is this, keyed by (seed, epoch). Requires: 0 <= i < size.
int64_t permute(RandomKey key, int64_t size, int64_t i);

}  // namespace triga
