// BatchPlan: which samples make which microbatch of which step. The first thing that happens to a
// batch: dataset -> plan -> loader -> train_step. A pure function of (seed, epoch, lengths,
// options): the same for every layout, and any step can be asked for without the ones before, so a
// resume reads nothing twice and skips nothing.
//
//   epoch 0                               epoch 1
//   |- step 0 -|- step 1 -|- step 2 -|    |- step 3 -| ...   the last step of an epoch, and the
//   |mb0 mb1 mb2|                                            last microbatch of a step, may be short
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "triga/dataset.h"

namespace triga {

/// Exactly one of samples_per_step and tokens_per_step is above zero.
struct BatchPlanOptions {
  uint64_t seed = 0;
  bool shuffle = true;  // false: the order of the dataset, in every epoch
  /// Sample i of each step reads a stream of its own: a contiguous part of the dataset, in order.
  /// Requires: no shuffle, samples_per_step. The streams are as even as possible, the first ones one
  /// sample longer: so the last step of an epoch may be short, as always.
  bool in_streams = false;
  int64_t samples_per_step = 0;
  int64_t tokens_per_step = 0;  // as many samples as fit by Dataset::length, at least one
  int64_t microbatch_size = 1;  // samples
};

struct MicrobatchPlan {
  int64_t microbatch = 0;        // index in the step, over all ranks
  std::vector<int64_t> samples;  // indices into the dataset; never empty
  int64_t first_position = 0;  // global count of samples used before the first one, over all epochs
};

struct StepPlan {
  int64_t epoch = 0;
  int64_t first_position = 0;
  int64_t num_samples = 0;
  int64_t num_tokens = 0;                    // of these samples, by Dataset::length
  std::vector<MicrobatchPlan> microbatches;  // of all ranks
};

/// A contiguous part [begin, end) of some count.
struct Share {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

/// Rank `rank`'s part of `count` things: contiguous, in rank order, as even as possible, the first
/// ranks one more (8 over 3 = 3, 3, 2). Requires: count >= 0, 0 <= rank < num_ranks.
Share share_of_rank(int64_t count, int64_t rank, int64_t num_ranks);

/// Thread-safe.
class BatchPlan {
 public:
  /// `dataset` must outlive the plan. Requires: a dataset that is not empty, options as said above.
  BatchPlan(const Dataset& dataset, const BatchPlanOptions& options);

  /// Requires: step >= 0.
  StepPlan step(int64_t step) const;

  /// Number of steps in the first `num_epochs` epochs. With tokens_per_step this walks over the
  /// lengths of all of them.
  int64_t steps_in_epochs(int64_t num_epochs) const;

  /// Index into the dataset of the i-th sample of an epoch's order. Requires: 0 <= i < size of the
  /// dataset.
  int64_t sample(int64_t epoch, int64_t i) const;

 private:
  struct Place {
    int64_t epoch, begin, end;  // samples [begin, end) of the epoch's order
  };
  Place place(int64_t step) const;
  Place place_by_tokens(int64_t step) const;
  /// Where the steps of an epoch begin: [step] first sample; then the size.
  using Starts = std::vector<int64_t>;
  /// Requires: mutex_ is held.
  const Starts& walk(int64_t epoch) const;

  const Dataset& dataset_;
  const BatchPlanOptions options_;
  const int64_t size_;

  // With tokens_per_step only: where the steps begin is found by walking over an epoch's lengths,
  // and kept.
  mutable std::mutex mutex_;
  mutable std::vector<int64_t> first_steps_ = {
      0};  // [epoch] number of steps before it, as far as walked
  // Of the last epochs walked: the trainer is in one, the prefetcher may be in the next.
  mutable std::map<int64_t, Starts> walked_;
};

}  // namespace triga
