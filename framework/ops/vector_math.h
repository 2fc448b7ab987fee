// Elementary functions as loops that a compiler turns into vector code.
#pragma once

#include <bit>
#include <cstdint>

#include "base/vector.h"

namespace triga {

/// e^x within 2 units in the last place; e^-87 below -87 and for a NaN, e^88 above 88. Cody and
/// Waite's reduction, then a polynomial of degree 6 on [-ln 2 / 2, ln 2 / 2].
inline float fast_exp(float x) {
  x = x >= -87.0f ? (x > 88.0f ? 88.0f : x) : -87.0f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504088896341f + kRound;
  const float n = shifted - kRound;
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto exponent = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

/// How much work is worth a thread: about 20 microseconds of vector code.
inline constexpr int64_t kElementsForAThread = 32768;
inline int64_t rows_for_a_thread(int64_t row_size) {
  return kElementsForAThread / (row_size > 0 ? row_size : 1) + 1;
}

inline float fast_tanh(float x) {
  const float e = fast_exp(2.0f * x);
  return 1.0f - 2.0f / (e + 1.0f);
}

}  // namespace triga
