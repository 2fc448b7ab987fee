// MemoryPlan: what a rank needs for the state of a model in training, before there is any.
//
//                            zero 0      zero 1       zero 2        bytes an element
//   values                   P           P            P             4, bf16: 2
//   gradients                P           P            P/n + slots   4, and those of shared parameters
//   masters (bf16 only)      P           P/n          P/n           4
//   optimizer (k states)     k P         k P/n        k P/n         4
//   fixed: frozen parameters and buffers, as they are
//   snapshot: what the rank that writes most copies of all that before a checkpoint is written
//   in the background: values in fp32, its share of the states, frozen parameters
//
// P trainable parameters of a stage with padding, n data-parallel ranks; slots: memory for up to
// three buckets (GradientReducer::slot_sizes) and a part of each.
#pragma once

#include <cstdint>

#include "parameters/parameter_store.h"

namespace triga {

struct MemoryPlan {
  int64_t values_bytes = 0, gradients_bytes = 0, masters_bytes = 0, optimizer_bytes = 0;
  int64_t fixed_bytes = 0, snapshot_bytes = 0;
  int64_t total_bytes() const {
    return values_bytes + gradients_bytes + masters_bytes + optimizer_bytes + fixed_bytes +
           snapshot_bytes;
  }
};

struct MemoryQuestion {
  int64_t num_elements = 0;     // P
  int64_t slot_elements = 0;    // of all slots together
  int64_t shared_elements = 0;  // of parameters that other stages have as well
  int64_t fixed_bytes = 0;      // frozen parameters and buffers
  int num_ranks = 1;            // n
  int zero = 0;
  int num_states = 0;  // k
  at::ScalarType compute_type = at::kFloat;
  bool keeps_snapshot = false;  // in the same memory: checkpoints are written in the background
};

MemoryPlan plan_memory(const MemoryQuestion& question);

}  // namespace triga
