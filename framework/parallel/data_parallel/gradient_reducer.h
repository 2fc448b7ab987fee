// GradientReducer: adds up gradients over the data-parallel ranks while backward still runs. A
// bucket is sent as soon as every parameter in it has its gradient from the step's last microbatch;
// buckets go in index order on every rank, whatever order they become ready in, so that ranks
// always agree on the next collective.
//
//   backward:  | h.3      | h.2      | h.1      | h.0 wte  |
//   reduce:               | bucket 0 | bucket 1 | bucket 2 | bucket 3 |   <- the last is what
//   cannot be hidden
#pragma once

#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "parameters/parameter_store.h"

namespace torch::autograd {
struct Node;
}

namespace triga {

class GradientReducer {
 public:
  /// Puts hooks on the store's parameters. Both must outlive it.
  GradientReducer(ParameterStore& store, Communicator& data);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  /// Before the first backward pass of a step.
  void begin_step();
  /// Before the last backward pass of this rank: from now on buckets are sent as they become ready.
  void expect_last_backward();
  /// After the last one (or none): sends what was not sent yet and waits for all. Afterwards the
  /// store's gradients are the sums over all ranks, equal to the bit on all of them. Collective.
  /// Throws: CommError.
  void finish();

 private:
  void mark_ready(size_t parameter);
  void send_ready_buckets();
  void send(size_t bucket);

  ParameterStore& store_;
  Communicator& data_;
  std::vector<std::shared_ptr<torch::autograd::Node>>
      accumulators_;                 // kept alive: autograd holds them weakly
  std::vector<uintptr_t> hooks_;     // of accumulators_[i]
  std::vector<size_t> num_missing_;  // [bucket] parameters without their last gradient
  std::vector<bool> is_ready_;       // [parameter]
  std::vector<Work> in_flight_;      // [bucket] that was sent
  bool is_last_backward_ = false;
};

}  // namespace triga
