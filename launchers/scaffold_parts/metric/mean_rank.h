// The metric: at which place of a model's guesses, the likeliest first, the right class stands.
#pragma once

#include "triga/config.h"
#include "triga/metric.h"

namespace triga::plugin_my_plugin {

struct MeanRankConfig {
  std::string name = "mean_rank";
};

void describe(Fields& fields, MeanRankConfig& config);

/// Reads `logits` [..., classes] of the last layer, and the batch's `labels` [...], where a label below
/// 0 is none. Each rank counts its part of a split; counts of all ranks are merged before result().
class MeanRank final : public Metric {
 public:
  explicit MeanRank(const MeanRankConfig& config) : config_(config) {}

  std::string name() const override { return config_.name; }
  void reset() override { sum_of_ranks_ = num_labels_ = 0; }
  void update(const Batch& batch, const Activations& outputs) override;
  at::Tensor state() const override;
  void merge(const at::Tensor& state) override;
  double result() const override;

 private:
  MeanRankConfig config_;
  int64_t sum_of_ranks_ = 0, num_labels_ = 0;
};

}  // namespace triga::plugin_my_plugin
