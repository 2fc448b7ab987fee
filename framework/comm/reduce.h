// Element-wise reduction of the same tensor from several ranks. The order of summation is a binary
// tree over the ranks of a group and nothing else: it does not depend on how a tensor was cut into
// buckets, on how it travelled, or on which ranks share a host. All sums of Triga's own transports
// (threads, shared memory, MPI) are made here.
//
//   7 ranks:  ((0 + 1) + (2 + 3)) + ((4 + 5) + 6)      split at the largest power of two
//
// Ranks that are neighbours can be added up where they are (on one host) into partial sums, and
// those elsewhere, with the same bits as all at once.
#pragma once

#include <ATen/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace triga {

/// Is this one of the types that communicators carry?
bool is_reducible(at::ScalarType type);

/// What sums of a type are made in: fp32 for fp16 and bf16, otherwise the type.
at::ScalarType accumulator_type(at::ScalarType type);

/// Ranks [begin, end) of a group.
struct RankRange {
  int begin = 0, end = 0;
  int width() const { return end - begin; }
  bool operator==(const RankRange&) const = default;
};

/// The largest subtrees of the tree over `num_ranks` whose ranks all lie in `range`, in order.
std::vector<RankRange> subtrees_in(RankRange range, int num_ranks);

/// One input of a reduction: a rank's tensor, or, of accumulator_type, the sum of a subtree.
struct Summand {
  const std::byte* data = nullptr;
  int width = 1;  // number of ranks in it
  bool is_partial = false;
};

/// Reduces the summands, which cover the tree of a group in order, and writes the same to all of
/// `results`: fp16 and bf16 are rounded once, at the end; integers wrap around; a NaN in any
/// summand gives NaN, for kMax and kMin too. Results may be among the summands. Requires:
/// is_reducible(type), at least one summand.
void reduce_in_tree_order(std::span<const Summand> summands, std::span<std::byte* const> results,
                          int64_t numel, at::ScalarType type, ReduceOp op);

/// The same for the ranks of a subtree; the result is of accumulator_type(type).
void reduce_partial(std::span<const Summand> summands, std::byte* result, int64_t numel,
                    at::ScalarType type, ReduceOp op);

}  // namespace triga
