#include "common/mean_metric.h"

#include <ATen/ops/tensor.h>

namespace triga::common {

void MeanMetric::update(const Batch& batch, const Activations& outputs) {
  const Part part = part_(batch, outputs);
  total_.sum += part.sum;
  total_.count += part.count;
}

at::Tensor MeanMetric::state() const {
  return at::tensor({total_.sum, total_.count}, at::kDouble);
}

void MeanMetric::merge(const at::Tensor& state) {
  total_.sum += state[0].item<double>();
  total_.count += state[1].item<double>();
}

}  // namespace triga::common
