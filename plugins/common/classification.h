// Classification: what classifiers of every family share. The label of a sample is a number; the
// loss is the sum of cross entropies; the metric is the share of samples whose class has the largest
// logit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triga/batch.h"
#include "triga/dataset.h"
#include "triga/loss.h"
#include "triga/metric.h"

namespace triga::common {

/// int64 [B] from samples {"label": int64 []}, in their order. Throws: DataError when one has no
/// label, or one that is not below `num_classes`.
at::Tensor labels_of(const std::vector<Sample>& samples, int64_t num_classes);

/// Cross entropy of `logits` [B, classes] against "labels".
class ClassificationLoss final : public Loss {
 public:
  double count(const Batch& batch, std::string_view name) const override;
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override;
};

/// "accuracy".
std::unique_ptr<Metric> classification_accuracy();

}  // namespace triga::common
