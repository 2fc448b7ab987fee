// GradientReducer: where gradients go, and how they are added up over the data-parallel ranks while
// backward still runs. A gradient is written into its bucket the moment autograd has it: the first
// microbatch of a step writes, later ones add, so that nothing is zeroed and nothing copied again.
// A bucket is sent as soon as every parameter in it has its gradient from its stage's last backward
// pass; buckets go in index order on every rank, whatever order they become ready in, so that ranks
// always agree on the next collective.
//
//   backward:  | h.3      | h.2      | h.1      | h.0 wte  |
//   reduce:               | bucket 0 | bucket 1 | bucket 2 | bucket 3 |   the last one is not hidden
//
// ZeRO (Rajbhandari et al. 2020): with zero 0 every rank gets every sum (all_reduce); with zero 1
// its part of every bucket (reduce_scatter). With zero 2 it also keeps no more than its part: each
// backward pass is reduced on its own, and its gradients pass through a few buckets of memory.
//
// Buckets that several stages share are reduced at the end of the step, with memory of their own.
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

  /// Elements of each slot: as many as the longest of the buckets that take turns in it. Those that
  /// stages share have memory of their own.
  static std::vector<int64_t> slot_sizes(const ParameterStore& store);

  /// Puts hooks on the store's parameters. Both must outlive it. `zero`: 0, 1 or 2; the store is
  /// sharded when it is not 0, and has gradients when it is not 2. Collective.
  GradientReducer(ParameterStore& store, Communicator& data, int zero);
  ~GradientReducer() override;
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  /// A backward pass of `stage` brings the gradient of a parameter in `num_parts` pieces, one for
  /// each of its uses, and not already added up: what recomputed layers do. They are added up
  /// before they are placed, which is what keeps the bits.
  void expect_parts(int stage, size_t parameter, int num_parts);

  void begin_step();
  /// A backward pass of a stage of this rank. `is_last`: of this stage in this step, but for passes
  /// without a microbatch, which a rank makes only with zero 2 so that all make the same ones. With
  /// zero 2 collective, in the order of the passes.
  void begin_pass(int stage, bool is_last);
  void end_pass();
  /// After the last pass; waits for everything.
  void finish();

  /// After finish(): the sums of gradients of a range of a bucket that this rank owns, fp32.
  at::Tensor gradients(size_t bucket, FlatRange range) const;

  // For operations that write gradients themselves.
  at::Tensor destination(size_t parameter, bool& accumulate) override;
  at::Tensor begun(size_t parameter) override;

 private:
  class PlaceGradient;
  struct Parts {
    int num_left;
    at::Tensor sum;
  };

  void collect(size_t parameter, const at::Tensor& part);
  void release_collected();
  void place(size_t parameter, const at::Tensor& gradient);
  void write(size_t parameter, const at::Tensor& gradient);
  at::Tensor place_of(size_t parameter) const;
  bool has_memory(size_t parameter) const;
  bool is_shared(size_t bucket) const { return !store_.buckets()[bucket].sharing.empty(); }
  bool is_final() const { return zero_ == 2 || is_last_; }
  void mark_ready(size_t parameter);
  void send_ready_buckets();
  void send(size_t bucket);
  void fill_missing(const Bucket& bucket);
  void reduce_shared();

  // zero 2.
  size_t slot_of(size_t bucket) const { return (bucket - pass_begin_) % slots_.size(); }
  void fill_slots();
  bool take_slot(size_t bucket);
  void take_result(size_t bucket);

  ParameterStore& store_;
  Communicator& data_;
  const int zero_;
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators_;  // kept alive for their hooks
  size_t shared_begin_ = 0;  // buckets from here on are shared

  std::map<std::pair<int, size_t>, int> num_parts_;  // by stage and parameter, if not 1
  std::map<size_t, Parts> collected_;  // by parameter, where several parts are expected

  int stage_ = -1;        // of the pass; -1: none
  bool is_last_ = false;  // the pass
  std::vector<bool>
      is_written_;  // [parameter] its place holds a gradient of this step (zero 2: pass)
  std::vector<bool> is_begun_;  // [parameter] an operation wrote it, autograd still has to say so
  std::vector<bool> is_ready_;  // [parameter] it has its last gradient
  std::vector<size_t> num_missing_;   // [bucket] parameters without it
  std::map<size_t, Work> in_flight_;  // by bucket
  size_t next_bucket_ = 0;            // the first that is not sent

  // zero 2.
  struct Pending {
    size_t parameter;
    at::Tensor gradient;
  };
  size_t pass_begin_ = 0, pass_end_ = 0;  // buckets of the pass's stage
  std::vector<at::Tensor> slots_;         // fp32, each as long as the longest bucket
  std::vector<at::Tensor> results_;       // [slot] this rank's part of the sum
  at::Tensor sums_;                       // fp32 [num_owned]
  std::map<size_t, at::Tensor> shared_;   // memory of shared buckets, by bucket
  std::vector<bool> has_sum_;             // [bucket]
  size_t slotted_end_ = 0;                // buckets of the pass before it have memory, or had
  size_t taken_end_ = 0;                  // results of buckets before it are in sums_
  std::vector<Pending> pending_;          // gradients of buckets that have no memory yet
};

}  // namespace triga
