// GradientReducer: where gradients go, and how they are added up over the data-parallel ranks while
// backward still runs. A gradient is written into its bucket the moment autograd has it: the first
// microbatch of a step writes, later ones add, so that nothing is zeroed and nothing copied again.
// A bucket is sent as soon as every parameter in it has its gradient from the step's last
// microbatch; buckets go in index order on every rank, whatever order they become ready in, so that
// ranks always agree on the next collective.
//
//   backward:  | h.3      | h.2      | h.1      | h.0 wte  |
//   reduce:               | bucket 0 | bucket 1 | bucket 2 | bucket 3 |   the last one is not hidden
//
// ZeRO (Rajbhandari et al. 2020): with zero 0 every rank gets every sum (all_reduce); with zero 1
// its part of every bucket (reduce_scatter). With zero 2 it also keeps no more than its part: each
// microbatch is a round of its own, whose gradients pass through a few buckets of memory.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "parameters/parameter_store.h"

namespace torch::autograd {
struct Node;
}

namespace triga {

class GradientReducer final : public GradientSink {
 public:
  static constexpr size_t kNumSlots = 3;  // buckets of memory with zero 2

  /// Puts hooks on the store's parameters. Both must outlive it. `zero`: 0, 1 or 2; the store is
  /// sharded when it is not 0, and has gradients when it is not 2. Collective.
  GradientReducer(ParameterStore& store, Communicator& data, int zero);
  ~GradientReducer() override;
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  /// Says that a backward pass brings a parameter's gradient in up to so many parts, which are
  /// added up before they are used: recomputed layers that share it bring one each. Default: 1.
  void expect_parts(size_t parameter, int num_parts) { num_parts_[parameter] = num_parts; }

  /// A step has as many rounds on every rank: one a microbatch, an empty one on a rank that has
  /// fewer. `last_round`: the last in which this rank has a microbatch; -1: it has none.
  /// Collective.
  void begin_step(int num_rounds, int last_round);
  void begin_round(int round);
  /// After the round's backward pass, if it had one. Collective. Throws: CommError.
  void end_round();
  /// After the last round: afterwards gradients() are the sums over all ranks. Collective. Throws:
  /// CommError.
  void finish();

  // GradientSink: the memory of the bucket itself, where it is fp32 as the gradient.
  at::Tensor destination(size_t parameter, bool& accumulate) override;
  at::Tensor begun(size_t parameter) override;

  /// The sums of a range of a bucket that this rank owns. Its memory is the same in every step.
  at::Tensor gradients(size_t bucket, FlatRange range) const;

 private:
  struct Pending {  // a gradient that came before its bucket had memory (zero 2)
    size_t parameter;
    at::Tensor gradient;
  };
  class PlaceGradient;

  void collect(size_t parameter, const at::Tensor& part);
  void release_collected();
  void place(size_t parameter, const at::Tensor& gradient);
  void write(size_t parameter, const at::Tensor& gradient);
  void mark_ready(size_t parameter);
  void send_ready_buckets();
  void send(size_t bucket);
  /// zero 2: gives a bucket memory when its slot is free.
  bool take_slot(size_t bucket);
  void take_result(size_t bucket);
  void fill_slots();
  at::Tensor place_of(size_t parameter) const;

  ParameterStore& store_;
  Communicator& data_;
  const int zero_;
  std::vector<std::shared_ptr<torch::autograd::Node>>
      accumulators_;  // kept alive: autograd holds them weakly
  struct Parts {      // of a gradient that comes in several
    int num_left = 0;
    at::Tensor sum;
  };
  std::vector<int> num_parts_;         // [parameter]
  std::map<size_t, Parts> collected_;  // by parameter, of this backward pass
  int round_ = 0, last_round_ = -1;
  std::vector<bool> is_written_;     // [parameter] in this step (zero 2: in this round)
  std::vector<bool> is_begun_;       // [parameter] an operation writes it in this backward pass
  std::vector<bool> is_ready_;       // [parameter] has its last gradient
  std::vector<size_t> num_missing_;  // [bucket] parameters without their last gradient
  std::vector<Work> in_flight_;      // [bucket] that was sent
  bool is_sending_ = false;          // in the last round that this rank computes

  // zero 2.
  std::vector<at::Tensor> slots_;    // fp32, each as long as the longest bucket
  std::vector<at::Tensor> results_;  // [slot] this rank's part of the sum
  at::Tensor sums_;                  // fp32 [num_owned]
  std::vector<bool> has_sum_;        // [bucket] in this step
  size_t num_slotted_ = 0;           // buckets of this round that got memory so far
  size_t num_taken_ = 0;             // buckets of this round whose result was added
  std::vector<Pending> pending_;
};

}  // namespace triga
