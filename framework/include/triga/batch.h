// Batch: one microbatch, as the collate function of an architecture made it from samples. Its
// fields can be read on every stage of a pipeline, so they hold inputs and labels and nothing that
// a layer computes.
#pragma once

#include <cstdint>

#include "triga/named_tensors.h"

namespace triga {

/// What a dataset gives for one index; the dataset's documentation says which names, shapes and
/// types.
using Sample = NamedTensors;

struct Batch {
  NamedTensors fields;      // each [samples, ...]
  int64_t num_samples = 0;  // 0: an empty microbatch, for a rank that has fewer than the others
  int64_t microbatch = 0;   // its index among the step's microbatches, counted over all ranks
  int64_t first_position =
      0;  // global count of samples used before its first one, since the start of the run

  const at::Tensor& operator[](std::string_view name) const { return fields[name]; }
};

}  // namespace triga
