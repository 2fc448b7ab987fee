// Loaders: the batches of this data-parallel rank, made ahead in the background. dataset -> plan ->
// loader -> train_step. Every rank gets the same number of batches at each call: those that have
// fewer microbatches get empty ones (num_samples 0), so that all take part in the same collectives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/batch_plan.h"
#include "data/prefetcher.h"
#include "triga/architecture.h"

namespace triga {

/// What a loader reads, and for whom. The dataset and the architecture must outlive it.
struct LoaderOptions {
  const Dataset* dataset = nullptr;            // not null
  const Architecture* architecture = nullptr;  // not null
  std::string split = "train";                 // for messages and for the random key of collate
  uint64_t seed = 0;
  int64_t rank = 0, num_ranks = 1;  // of the data axis
  /// Of a model that carries its state: samples of a step, each of a stream of its own, in training
  /// and in evaluation. A stream stays with its rank. 0: there are no streams.
  int64_t num_streams = 0;
  int64_t prefetch = 2;     // items made ahead
  bool pin_memory = false;  // fields lie where a device can copy them from by itself
};

/// The steps of training, from any step on.
class TrainLoader {
 public:
  /// `plan`: of the same dataset; must outlive the loader. Steps from `first_step` to before
  /// `end_step`, if given.
  TrainLoader(const LoaderOptions& options, const BatchPlan& plan, int64_t first_step,
              std::optional<int64_t> end_step = std::nullopt);

  /// This rank's microbatches of the next step: ceil(microbatches of the step / ranks), the missing
  /// ones empty. Throws: DataError that names the split and the samples; Error after the last step.
  std::vector<Batch> next();

  double seconds_waited() const { return prefetcher_.seconds_waited(); }

 private:
  Prefetcher prefetcher_;
};

/// One pass over a split, in order (of each stream), a microbatch at a time. Rank r's samples all lie
/// before those of rank r + 1, so states of metrics merged in rank order are merged in sample order.
class EvaluationLoader {
 public:
  EvaluationLoader(const LoaderOptions& options, int64_t microbatch_size);

  /// The next microbatch, empty when this rank has fewer than others; nothing after the last one,
  /// on all ranks at the same call. Throws: DataError that names the split and the samples.
  std::optional<Batch> next();

  double seconds_waited() const { return prefetcher_.seconds_waited(); }

 private:
  Prefetcher prefetcher_;
};

}  // namespace triga
