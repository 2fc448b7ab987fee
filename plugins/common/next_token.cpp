#include "common/next_token.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "triga/ops.h"

namespace triga::common {
namespace {

/// The tokens of a sample, checked. Result: int64 [n], contiguous, on the CPU.
at::Tensor tokens_of(const Sample& sample, int64_t context_length) {
  const auto& tokens = sample["tokens"];
  if (tokens.dim() != 1 || tokens.scalar_type() != at::kLong)
    throw DataError(c10::str("a sample's `tokens` must be one row of int64; it is ", tokens.dtype(),
                             " ", tokens.sizes()));
  if (tokens.size(0) < 2)
    throw DataError(c10::str("a sample has ", tokens.size(0),
                             " tokens; predicting the next one needs at least 2"));
  if (tokens.size(0) > context_length + 1)
    throw DataError(
        c10::str("a sample has ", tokens.size(0),
                 " tokens, but the model reads at most context_length = ", context_length,
                 " (and one more is the last label): raise context_length or cut the samples"));
  return tokens.contiguous();
}

}  // namespace

Batch collate_next_token(const std::vector<Sample>& samples, const CollateContext& context,
                         const NextTokenCollate& options) {
  const auto num_samples = static_cast<int64_t>(samples.size());
  std::vector<at::Tensor> rows;
  int64_t longest = 0;
  for (const auto& sample : samples) {
    rows.push_back(tokens_of(sample, options.context_length));
    longest = std::max(longest, rows.back().size(0) - 1);
  }
  auto input_ids = at::full({num_samples, longest}, options.pad_token, at::kLong);
  auto labels = at::full({num_samples, longest}, kNoLabel, at::kLong);
  auto* input = input_ids.mutable_data_ptr<int64_t>();
  auto* label = labels.mutable_data_ptr<int64_t>();
  for (const auto& row : rows) {
    const auto* tokens = row.const_data_ptr<int64_t>();
    const auto length = row.size(0) - 1;
    std::copy_n(tokens, length, input);
    std::copy_n(tokens + 1, length, label);
    input += longest;
    label += longest;
  }

  Batch batch;
  batch.fields = {{"input_ids", input_ids}, {"labels", labels}};
  batch.num_samples = num_samples;
  batch.first_position = context.first_position;
  return batch;
}

double NextTokenLoss::count(const Batch& batch, std::string_view /*name*/) const {
  return static_cast<double>(batch["labels"].ne(kNoLabel).sum().item<int64_t>());
}

at::Tensor NextTokenLoss::sum(const Activations& outputs, const Batch& batch) const {
  const auto& logits = outputs["logits"];
  return cross_entropy_sum(logits.flatten(0, 1), batch["labels"].flatten(), kNoLabel);
}

void NextTokenAccuracy::update(const Batch& batch, const Activations& outputs) {
  const auto& labels = batch["labels"];
  num_right_ +=
      outputs["logits"].argmax(-1).eq(labels).sum().item<int64_t>();  // kNoLabel is no class
  num_labels_ += labels.ne(kNoLabel).sum().item<int64_t>();
}

at::Tensor NextTokenAccuracy::state() const {
  return at::tensor({num_right_, num_labels_}, at::kLong);
}

void NextTokenAccuracy::merge(const at::Tensor& state) {
  num_right_ += state[0].item<int64_t>();
  num_labels_ += state[1].item<int64_t>();
}

double NextTokenAccuracy::result() const {
  return num_labels_ == 0 ? 0 : static_cast<double>(num_right_) / static_cast<double>(num_labels_);
}

}  // namespace triga::common
