// Next-token prediction: what language models of every family share. Samples of tokens become a
// batch of inputs and shifted labels; the loss is the sum of cross entropies over all labels; the
// metric is the share of labels guessed right.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triga/batch.h"
#include "triga/dataset.h"
#include "triga/loss.h"
#include "triga/metric.h"

namespace triga::common {

/// The label of a place that has none (padding), as torch.nn.functional.cross_entropy ignores it.
inline constexpr int64_t kNoLabel = -100;

struct NextTokenCollate {
  int64_t pad_token = 0;  // what inputs are padded with; no label and no earlier token ever sees it
  int64_t context_length = 0;  // longest input that the model reads
};

/// Samples {"tokens": int64 [n]}, n >= 2, to input_ids and labels, both int64 [B, T]: labels[b, t]
/// is the token after input_ids[b, t]. Shorter samples are padded on the right, labels with
/// kNoLabel. Throws: DataError.
Batch collate_next_token(const std::vector<Sample>& samples, const CollateContext& context,
                         const NextTokenCollate& options);

/// Cross entropy of `logits` [B, T, vocabulary] against the labels.
class NextTokenLoss final : public Loss {
 public:
  double count(const Batch& batch, std::string_view name) const override;
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override;
};

/// The share of labels that have the largest logit.
class NextTokenAccuracy final : public Metric {
 public:
  std::string name() const override { return "accuracy"; }
  void reset() override { num_right_ = num_labels_ = 0; }
  void update(const Batch& batch, const Activations& outputs) override;
  at::Tensor state() const override;  // int64 [2]: right, labels
  void merge(const at::Tensor& state) override;
  double result() const override;

 private:
  int64_t num_right_ = 0;
  int64_t num_labels_ = 0;
};

}  // namespace triga::common
