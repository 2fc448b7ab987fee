#include "common/classification.h"

#include <ATen/ops/empty.h>

#include "common/mean_metric.h"
#include "triga/ops.h"

namespace triga::common {

at::Tensor labels_of(const std::vector<Sample>& samples, int64_t num_classes) {
  at::Tensor labels = at::empty({static_cast<int64_t>(samples.size())}, at::kLong);
  int64_t* next = labels.mutable_data_ptr<int64_t>();
  for (const Sample& sample : samples) {
    if (!sample.contains("label"))
      throw DataError("a sample has no label; a classifier learns from data sets of classes");
    const int64_t label = sample["label"].item<int64_t>();
    if (label < 0 || label >= num_classes)
      throw DataError(c10::str("a sample is of class ", label, ", but the model tells ",
                               num_classes, " apart (num_labels): 0 to ", num_classes - 1));
    *next++ = label;
  }
  return labels;
}

double ClassificationLoss::count(const Batch& batch, std::string_view /*name*/) const {
  return static_cast<double>(batch["labels"].size(0));
}

at::Tensor ClassificationLoss::sum(const Activations& outputs, const Batch& batch) const {
  return cross_entropy_sum(outputs["logits"], batch["labels"]);
}

std::unique_ptr<Metric> classification_accuracy() {
  return std::make_unique<MeanMetric>(
      "accuracy", [](const Batch& batch, const Activations& outputs) {
        const at::Tensor is_right = outputs["logits"].argmax(-1).eq(batch["labels"]);
        return MeanMetric::Part{static_cast<double>(is_right.sum().item<int64_t>()),
                                static_cast<double>(is_right.size(0))};
      });
}

}  // namespace triga::common
