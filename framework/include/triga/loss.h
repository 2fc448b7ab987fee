// Loss: a sum and a count, never a mean. The gradient is that of sum / global count, where the global count is added up
// over all microbatches and ranks of the step before backward starts. So unequal token counts, accumulation, data and
// pipeline parallelism all give the same number.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "triga/batch.h"
#include "triga/layer.h"

namespace triga {

class Loss {
 public:
  virtual ~Loss() = default;

  /// What the sum will be divided by: tokens with a label, samples, pixels. Needs no forward pass. `name` is "loss" for
  /// the main loss, else that of a LayerContext::add_loss; unless overridden all are divided by the same count.
  virtual double count(const Batch& batch, std::string_view name = "loss") const = 0;

  /// The sum over the microbatch. Result: fp32 scalar with a gradient to `outputs`, what the last layers wrote.
  virtual at::Tensor sum(const Activations& outputs, const Batch& batch) const = 0;
};

}  // namespace triga
