#include "optim/weight_average.h"

#include <algorithm>
#include <utility>

namespace triga {

double average_decay(double decay, int64_t step) {
  const auto before = static_cast<double>(step - 1);
  return before <= 0 ? 0 : std::min(decay, (1 + before) / (10 + before));
}

WeightAverage::WeightAverage(std::unique_ptr<Optimizer> optimizer, double decay)
    : optimizer_(std::move(optimizer)), decay_(decay) {}

std::vector<std::string> WeightAverage::state_names() const {
  std::vector<std::string> names = optimizer_->state_names();
  names.emplace_back(kWeightAverage);
  return names;
}

void WeightAverage::update(std::span<OptimizerSlice> slices, double learning_rate, int64_t step,
                           double gradient_scale) {
  std::vector<at::Tensor> averages;
  for (OptimizerSlice& slice : slices) {  // the optimizer sees its own states only
    averages.push_back(slice.states.back());
    slice.states.pop_back();
  }
  optimizer_->update(slices, learning_rate, step, gradient_scale);
  const double decay = average_decay(decay_, step);
  for (size_t i = 0; i < slices.size(); ++i) {
    averages[i].lerp_(slices[i].parameter, 1 - decay);
    slices[i].states.push_back(averages[i]);
  }
}

}  // namespace triga
