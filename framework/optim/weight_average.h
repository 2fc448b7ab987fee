// WeightAverage: an exponential moving average of the weights (Polyak and Juditsky 1992) beside any
// optimizer, as one more state of it: so it is sharded, planned, saved and restored like the others.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triga/optimizer.h"

namespace triga {

/// The state that holds it.
inline constexpr const char* kWeightAverage = "average";

/// The share of the old average that update `step` (1 for the first) keeps: none at first, then (1 +
/// n) / (10 + n) of n = step - 1, until that reaches `decay`, as diffusers' EMAModel.
double average_decay(double decay, int64_t step);

class WeightAverage final : public Optimizer {
 public:
  WeightAverage(std::unique_ptr<Optimizer> optimizer, double decay);

  /// Those of the optimizer, then kWeightAverage.
  std::vector<std::string> state_names() const override;
  bool needs_whole_parameters() const override { return optimizer_->needs_whole_parameters(); }
  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t step,
              double gradient_scale) override;

 private:
  std::unique_ptr<Optimizer> optimizer_;
  double decay_;
};

}  // namespace triga
