// Sums go tile by tile through accumulators on the stack, so that results may be any of the
// summands and every summand is read once.
#include "comm/reduce.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

namespace triga {
namespace {

constexpr int64_t kTile = 1024;  // elements; a few accumulators stay in the first-level cache
constexpr int kMaxDepth = 20;    // of pending subtrees: enough for 2^19 ranks

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

/// One tile of a reduction: the subtrees that are complete so far and wait for their right
/// neighbour, as the digits of a binary counter.
template <class T, ReduceOp op>
class TileSum {
  using A = typename Accumulator<T>::type;

 public:
  void add(const Summand& summand, int64_t begin, int64_t count) {
    count_ = count;
    if (summand.is_partial)
      add_values(reinterpret_cast<const A*>(summand.data) + begin, summand.width);
    else
      add_values(reinterpret_cast<const T*>(summand.data) + begin, summand.width);
  }

  /// The sum of all.
  const A* finish() {
    while (depth_ > 1) merge_last();
    depth_ = 0;
    return sums_[0].data();
  }

 private:
  template <class V>
  void add_values(const V* __restrict values, int width) {
    if (depth_ > 0 && widths_[depth_ - 1] == width) {
      A* __restrict sum = sums_[depth_ - 1].data();
      for (int64_t i = 0; i < count_; ++i) sum[i] = combine<op>(sum[i], static_cast<A>(values[i]));
      widths_[depth_ - 1] += width;
      while (depth_ > 1 && widths_[depth_ - 2] == widths_[depth_ - 1]) merge_last();
      return;
    }
    TRIGA_CHECK(depth_ < kMaxDepth, "a reduction over too many ranks");
    A* __restrict sum = sums_[depth_].data();
    for (int64_t i = 0; i < count_; ++i) sum[i] = static_cast<A>(values[i]);
    widths_[depth_++] = width;
  }

  void merge_last() {
    --depth_;
    A* __restrict left = sums_[depth_ - 1].data();
    const A* __restrict right = sums_[depth_].data();
    for (int64_t i = 0; i < count_; ++i) left[i] = combine<op>(left[i], right[i]);
    widths_[depth_ - 1] += widths_[depth_];
  }

  int64_t count_ = 0;
  int depth_ = 0;
  std::array<int, kMaxDepth> widths_;
  std::array<std::array<A, kTile>, kMaxDepth> sums_;
};

template <class T, class Out, ReduceOp op>
void reduce_as(std::span<const Summand> summands, std::span<std::byte* const> results,
               int64_t numel) {
  TileSum<T, op> tile;
  for (int64_t begin = 0; begin < numel; begin += kTile) {
    const int64_t count = std::min(kTile, numel - begin);
    for (const Summand& summand : summands) tile.add(summand, begin, count);
    const auto* sum = tile.finish();
    for (std::byte* result : results) {
      Out* __restrict out = reinterpret_cast<Out*>(result) + begin;
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(sum[i]);
    }
  }
}

/// Calls `visit.template operator()<T, op>()`.
template <class T, class Visit>
void with_op(ReduceOp op, const Visit& visit) {
  switch (op) {
    case ReduceOp::kSum:
      return visit.template operator()<T, ReduceOp::kSum>();
    case ReduceOp::kMax:
      return visit.template operator()<T, ReduceOp::kMax>();
    case ReduceOp::kMin:
      return visit.template operator()<T, ReduceOp::kMin>();
  }
}

template <class Visit>
void with_type(at::ScalarType type, ReduceOp op, const Visit& visit) {
  switch (type) {
    case at::kFloat:
      return with_op<float>(op, visit);
    case at::kDouble:
      return with_op<double>(op, visit);
    case at::kHalf:
      return with_op<at::Half>(op, visit);
    case at::kBFloat16:
      return with_op<at::BFloat16>(op, visit);
    case at::kInt:
      return with_op<int32_t>(op, visit);
    case at::kLong:
      return with_op<int64_t>(op, visit);
    case at::kByte:
      return with_op<uint8_t>(op, visit);
    default:
      TRIGA_CHECK(false, "cannot reduce tensors of type ", toString(type));
  }
}

void add_subtrees(RankRange node, RankRange range, std::vector<RankRange>& found) {
  if (node.end <= range.begin || range.end <= node.begin) return;
  if (range.begin <= node.begin && node.end <= range.end) {
    found.push_back(node);
    return;
  }
  const int half = static_cast<int>(std::bit_ceil(static_cast<unsigned>(node.width())) / 2);
  add_subtrees({node.begin, node.begin + half}, range, found);
  add_subtrees({node.begin + half, node.end}, range, found);
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

at::ScalarType accumulator_type(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16 ? at::kFloat : type;
}

std::vector<RankRange> subtrees_in(RankRange range, int num_ranks) {
  std::vector<RankRange> found;
  add_subtrees({0, num_ranks}, range, found);
  return found;
}

void reduce_in_tree_order(std::span<const Summand> summands, std::span<std::byte* const> results,
                          int64_t numel, at::ScalarType type, ReduceOp op) {
  TRIGA_CHECK(!summands.empty(), "nothing to reduce");
  with_type(type, op, [&]<class T, ReduceOp o>() { reduce_as<T, T, o>(summands, results, numel); });
}

void reduce_partial(std::span<const Summand> summands, std::byte* result, int64_t numel,
                    at::ScalarType type, ReduceOp op) {
  TRIGA_CHECK(!summands.empty(), "nothing to reduce");
  std::byte* const results[] = {result};
  with_type(type, op, [&]<class T, ReduceOp o>() {
    reduce_as<T, typename Accumulator<T>::type, o>(summands, results, numel);
  });
}

}  // namespace triga
