// From a step's number to its epoch and samples, and from samples to microbatches.
#include "data/batch_plan.h"

#include <algorithm>

namespace triga {

Share share_of_rank(int64_t count, int64_t rank, int64_t num_ranks) {
  TRIGA_CHECK(count >= 0 && 0 <= rank && rank < num_ranks, "share of rank ", rank, " of ",
              num_ranks, ": ", count);
  const int64_t each = count / num_ranks, extra = count % num_ranks;
  const int64_t begin = rank * each + std::min(rank, extra);
  return {begin, begin + each + (rank < extra ? 1 : 0)};
}

BatchPlan::BatchPlan(const Dataset& dataset, const BatchPlanOptions& options)
    : dataset_(dataset), options_(options), size_(dataset.size()) {
  TRIGA_CHECK(size_ > 0, "a plan of an empty dataset");
  TRIGA_CHECK(options.samples_per_step >= 0 && options.tokens_per_step >= 0 &&
                  (options.samples_per_step > 0) != (options.tokens_per_step > 0),
              "a step of ", options.samples_per_step, " samples and ", options.tokens_per_step,
              " tokens");
  TRIGA_CHECK(!options.in_streams || (!options.shuffle && options.samples_per_step > 0),
              "streams that are shuffled, or of tokens");
  TRIGA_CHECK(options.microbatch_size > 0, "a microbatch of ", options.microbatch_size, " samples");
}

StepPlan BatchPlan::step(int64_t step) const {
  TRIGA_CHECK(step >= 0, "step ", step);
  const auto [epoch, begin, end] = place(step);
  StepPlan plan{.epoch = epoch,
                .first_position = epoch * size_ + begin,
                .num_samples = end - begin,
                .num_tokens = 0,
                .microbatches = {}};
  for (int64_t first = begin; first < end; first += options_.microbatch_size) {
    MicrobatchPlan microbatch;
    microbatch.microbatch = static_cast<int64_t>(plan.microbatches.size());
    microbatch.first_position = epoch * size_ + first;
    const int64_t last = std::min(first + options_.microbatch_size, end);
    for (int64_t i = first; i < last; ++i) {
      microbatch.samples.push_back(sample(epoch, i));
      plan.num_tokens += dataset_.length(microbatch.samples.back());
    }
    plan.microbatches.push_back(std::move(microbatch));
  }
  return plan;
}

int64_t BatchPlan::sample(int64_t epoch, int64_t i) const {
  if (options_.in_streams) {
    const int64_t num_streams = std::min(options_.samples_per_step, size_);
    return share_of_rank(size_, i % num_streams, num_streams).begin + i / num_streams;
  }
  if (!options_.shuffle) return i;
  const auto key = RandomKey(options_.seed).with("sample order").with(static_cast<uint64_t>(epoch));
  return permute(key, size_, i);
}

BatchPlan::Place BatchPlan::place(int64_t step) const {
  if (options_.tokens_per_step > 0) return place_by_tokens(step);
  const int64_t steps_per_epoch = steps_in_epochs(1);
  const int64_t begin = step % steps_per_epoch * options_.samples_per_step;
  return {step / steps_per_epoch, begin, std::min(begin + options_.samples_per_step, size_)};
}

int64_t BatchPlan::steps_in_epochs(int64_t num_epochs) const {
  if (options_.tokens_per_step == 0) {
    const int64_t steps_per_epoch = (size_ - 1) / options_.samples_per_step + 1;
    return num_epochs * steps_per_epoch;
  }
  std::lock_guard lock(mutex_);
  while (static_cast<int64_t>(first_steps_.size()) <= num_epochs)
    walk(static_cast<int64_t>(first_steps_.size()) - 1);
  return first_steps_[static_cast<size_t>(num_epochs)];
}

BatchPlan::Place BatchPlan::place_by_tokens(int64_t step) const {
  std::lock_guard lock(mutex_);
  while (first_steps_.back() <= step) walk(static_cast<int64_t>(first_steps_.size()) - 1);
  const auto after = std::upper_bound(first_steps_.begin(), first_steps_.end(), step);
  const int64_t epoch = after - first_steps_.begin() - 1;
  const Starts& starts = walk(epoch);
  const auto index = static_cast<size_t>(step - first_steps_[static_cast<size_t>(epoch)]);
  return {epoch, starts[index], starts[index + 1]};
}

const BatchPlan::Starts& BatchPlan::walk(int64_t epoch) const {
  constexpr size_t kMostWalked = 2;
  if (const auto known = walked_.find(epoch); known != walked_.end()) return known->second;
  if (walked_.size() == kMostWalked) walked_.erase(walked_.begin());  // the earlier one
  Starts& starts = walked_[epoch];
  int64_t tokens = 0;
  for (int64_t i = 0; i < size_; ++i) {
    const int64_t length = dataset_.length(sample(epoch, i));
    if (i == 0 || tokens + length > options_.tokens_per_step) {
      starts.push_back(i);
      tokens = 0;
    }
    tokens += length;
  }
  if (static_cast<int64_t>(first_steps_.size()) == epoch + 1)
    first_steps_.push_back(first_steps_.back() + static_cast<int64_t>(starts.size()));
  starts.push_back(size_);
  return starts;
}

}  // namespace triga
