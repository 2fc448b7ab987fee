#include "mean_rank.h"

#include <ATen/ATen.h>

namespace triga::plugin_my_plugin {

void describe(Fields& fields, MeanRankConfig& config) {
  fields.field("name", config.name).help("Under which it is logged.");
}

void MeanRank::update(const Batch& batch, const Activations& outputs) {
  const at::Tensor& logits = outputs["logits"];
  const at::Tensor is_label = batch["labels"].ge(0);
  const at::Tensor labels = batch["labels"].clamp_min(0).unsqueeze(-1);  // [..., 1]
  const at::Tensor num_likelier = logits.gt(logits.gather(-1, labels)).sum(-1);
  sum_of_ranks_ += (num_likelier + 1).masked_select(is_label).sum().item<int64_t>();
  num_labels_ += is_label.sum().item<int64_t>();
}

at::Tensor MeanRank::state() const {
  return at::tensor({sum_of_ranks_, num_labels_}, at::kLong);
}

void MeanRank::merge(const at::Tensor& state) {
  sum_of_ranks_ += state[0].item<int64_t>();
  num_labels_ += state[1].item<int64_t>();
}

double MeanRank::result() const {
  return num_labels_ == 0 ? 0
                          : static_cast<double>(sum_of_ranks_) / static_cast<double>(num_labels_);
}

}  // namespace triga::plugin_my_plugin
