// Numbers that communicator tests send about, and what collectives make of them in closed form.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace triga::testing {

inline const std::vector<at::ScalarType> kTypes = {
    at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kInt, at::kLong, at::kByte};
// Empty; within an opening message; just above it; uneven parts; more than one round of a reduction
// on up to 4 ranks.
inline const std::vector<int64_t> kSizes = {0, 1, 3, 768, 769, 1021, 65537};
constexpr int64_t kManyRounds = 1'300'003;

// Small whole numbers, exact in every type, different for each rank and element; their sums over 4
// ranks are exact too.
inline int64_t value(int rank, int64_t i) {
  return (i * 7 + rank * 13 + 3) % 11;
}

inline at::Tensor values(int rank, int64_t numel, at::ScalarType type, int64_t first = 0) {
  std::vector<int64_t> numbers(numel);
  for (int64_t i = 0; i < numel; ++i) numbers[i] = value(rank, first + i);
  return at::tensor(numbers, at::kLong).to(type);
}

inline int64_t reduced_value(int size, int64_t i, ReduceOp op) {
  int64_t result = value(0, i);
  for (int rank = 1; rank < size; ++rank) {
    const int64_t next = value(rank, i);
    result = op == ReduceOp::kSum   ? result + next
             : op == ReduceOp::kMax ? std::max(result, next)
                                    : std::min(result, next);
  }
  return result;
}

inline at::Tensor reduced(int size, int64_t numel, at::ScalarType type, ReduceOp op,
                          int64_t first = 0) {
  std::vector<int64_t> numbers(numel);
  for (int64_t i = 0; i < numel; ++i) numbers[i] = reduced_value(size, first + i, op);
  return at::tensor(numbers, at::kLong).to(type);
}

inline void expect_equal(const at::Tensor& actual, const at::Tensor& expected,
                         const std::string& what) {
  EXPECT_TRUE(at::equal(actual, expected))
      << what << " of " << expected.numel() << " " << toString(expected.scalar_type());
}

// Numbers whose sum depends on the order of the summands; the same on every rank for the same seed.
inline at::Tensor awkward_values(int rank, int64_t numel) {
  std::mt19937 random(17 + rank);
  std::uniform_real_distribution<float> mantissa(-1, 1), exponent(-12, 12);
  std::vector<float> numbers(numel);
  for (auto& number : numbers)
    number = std::ldexp(mantissa(random), static_cast<int>(exponent(random)));
  return at::tensor(numbers);
}

// Of ranks [begin, end): each node adds up its halves, the left one a power of two.
inline at::Tensor sum_in_tree_order(int begin, int end, int64_t numel) {
  if (end - begin == 1) return awkward_values(begin, numel);
  int left = 1;
  while (left * 2 < end - begin) left *= 2;
  return sum_in_tree_order(begin, begin + left, numel) +
         sum_in_tree_order(begin + left, end, numel);
}

// A view of memory of the communicator that holds `content`.
inline at::Tensor in_buffer(const at::Tensor& buffer, const at::Tensor& content) {
  const int64_t bytes = static_cast<int64_t>(content.nbytes());
  const auto view = buffer.narrow(0, 0, bytes).view(content.scalar_type());
  view.copy_(content);
  return view;
}

// Enough for any tensor below but those of many rounds.
inline at::Tensor make_buffer(Communicator& world) {
  return world.allocate(kSizes.back() * 8 * world.size(), at::kByte);
}

}  // namespace triga::testing
