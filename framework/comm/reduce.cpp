// Sums go tile by tile through an accumulator on the stack, so that `result` may be any of the
// sources and every source is read once.
#include "comm/reduce.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

namespace triga {
namespace {

constexpr int64_t kTile = 1024;  // elements; the accumulator stays in the first-level cache

// What a type is accumulated in. Unsigned for integers: they may wrap around.
template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<at::Half> {
  using type = float;
};
template <>
struct Accumulator<at::BFloat16> {
  using type = float;
};

template <ReduceOp op, class A>
A combine(A a, A b) {
  if constexpr (op == ReduceOp::kSum) {
    if constexpr (std::is_integral_v<A>) {
      using U = std::make_unsigned_t<A>;
      return static_cast<A>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
    } else {
      return a + b;
    }
  } else {
    if (a != a) return a;  // NaN wins
    if (b != b) return b;
    return op == ReduceOp::kMax ? std::max(a, b) : std::min(a, b);
  }
}

template <class T, ReduceOp op>
void reduce_as(std::span<const std::byte* const> sources, std::byte* result, int64_t numel) {
  using A = typename Accumulator<T>::type;
  auto* out = reinterpret_cast<T*>(result);
  std::array<A, kTile> sum;
  for (int64_t begin = 0; begin < numel; begin += kTile) {
    const int64_t count = std::min(kTile, numel - begin);
    const auto* first = reinterpret_cast<const T*>(sources[0]) + begin;
    for (int64_t i = 0; i < count; ++i) sum[i] = static_cast<A>(first[i]);
    for (size_t source = 1; source < sources.size(); ++source) {
      const auto* next = reinterpret_cast<const T*>(sources[source]) + begin;
      for (int64_t i = 0; i < count; ++i) sum[i] = combine<op>(sum[i], static_cast<A>(next[i]));
    }
    for (int64_t i = 0; i < count; ++i) out[begin + i] = static_cast<T>(sum[i]);
  }
}

template <class T>
void reduce_type(std::span<const std::byte* const> sources, std::byte* result, int64_t numel,
                 ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return reduce_as<T, ReduceOp::kSum>(sources, result, numel);
    case ReduceOp::kMax:
      return reduce_as<T, ReduceOp::kMax>(sources, result, numel);
    case ReduceOp::kMin:
      return reduce_as<T, ReduceOp::kMin>(sources, result, numel);
  }
}

}  // namespace

bool is_reducible(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
    case at::kDouble:
    case at::kHalf:
    case at::kBFloat16:
    case at::kInt:
    case at::kLong:
    case at::kByte:
      return true;
    default:
      return false;
  }
}

void reduce_in_rank_order(std::span<const std::byte* const> sources, std::byte* result,
                          int64_t numel, at::ScalarType type, ReduceOp op) {
  TRIGA_CHECK(!sources.empty(), "nothing to reduce");
  if (sources.size() == 1) {
    const size_t bytes = numel * elementSize(type);
    if (sources[0] != result && bytes > 0) std::memcpy(result, sources[0], bytes);
    return;
  }
  switch (type) {
    case at::kFloat:
      return reduce_type<float>(sources, result, numel, op);
    case at::kDouble:
      return reduce_type<double>(sources, result, numel, op);
    case at::kHalf:
      return reduce_type<at::Half>(sources, result, numel, op);
    case at::kBFloat16:
      return reduce_type<at::BFloat16>(sources, result, numel, op);
    case at::kInt:
      return reduce_type<int32_t>(sources, result, numel, op);
    case at::kLong:
      return reduce_type<int64_t>(sources, result, numel, op);
    case at::kByte:
      return reduce_type<uint8_t>(sources, result, numel, op);
    default:
      TRIGA_CHECK(false, "cannot reduce tensors of type ", toString(type));
  }
}

}  // namespace triga
