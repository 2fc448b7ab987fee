// Loss: a sum and a count, never a mean. The gradient is that of sum / global count, where the
// global count is added up over all microbatches and ranks of the step before backward starts. So
// unequal token counts, accumulation, data and pipeline parallelism all give the same number.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

#include "triga/batch.h"
#include "triga/layer.h"

namespace triga {

class Loss {
 public:
  virtual ~Loss() = default;

  /// Names of the losses that layers add in the middle of the model (LayerContext::add_loss).
  virtual std::vector<std::string> auxiliary_names() const { return {}; }

  /// What the sum will be divided by: tokens with a label, samples, pixels. Needs no forward pass.
  /// `name`: "loss" for the main one, else one of auxiliary_names(), which a family may count
  /// alike.
  virtual double count(const Batch& batch, std::string_view name) const = 0;

  /// The sum over the microbatch. Result: fp32 scalar with a gradient to `outputs`, what the last
  /// layer wrote.
  virtual at::Tensor sum(const Activations& outputs, const Batch& batch) const = 0;
};

}  // namespace triga
