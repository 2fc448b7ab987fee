// How large the buckets should be in which gradients are reduced: small ones can be hidden behind
// backward sooner, large ones waste less time on beginning and ending.
#pragma once

#include <cstdint>

#include "comm/communicator.h"

namespace triga {

/// Measures reductions of several sizes for a moment, and gives the smallest whose speed is near
/// the best. `gradient_bytes`: of all parameters; no more is tried. The same on all ranks.
/// Collective.
int64_t measure_bucket_bytes(Communicator& data, int64_t gradient_bytes);

}  // namespace triga
