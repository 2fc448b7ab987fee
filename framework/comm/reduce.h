// Element-wise reduction of the same tensor from several ranks, always in the order of the ranks:
// the result depends on nothing else, not on how a tensor was cut into buckets, nor on how it
// travelled. All sums of Triga's own transports (threads, MPI) are made here.
#pragma once

#include <ATen/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "comm/communicator.h"

namespace triga {

/// Is this one of the types that communicators carry?
bool is_reducible(at::ScalarType type);

/// result[i] = ((sources[0][i] op sources[1][i]) op sources[2][i]) ...; fp16 and bf16 are
/// accumulated in fp32 and rounded once; integers wrap around; a NaN in any source gives NaN, for
/// kMax and kMin too. `result` may be one of the sources. Requires: is_reducible(type), at least
/// one source, `numel` elements in each.
void reduce_in_rank_order(std::span<const std::byte* const> sources, std::byte* result,
                          int64_t numel, at::ScalarType type, ReduceOp op);

}  // namespace triga
