// The moving average of weights, against its recursion in fp64. Layouts and resume:
// tests/end_to_end/average_test.py.
#include "optim/weight_average.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

/// Adds the learning rate to every parameter, and counts in its one state.
class Adding final : public Optimizer {
 public:
  std::vector<std::string> state_names() const override { return {"count"}; }
  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t, double) override {
    for (OptimizerSlice& slice : slices) {
      ASSERT_EQ(slice.states.size(), 1u);
      slice.parameter.add_(learning_rate);
      slice.states[0].add_(1);
    }
  }
};

TEST(WeightAverage, FollowsTheWeights) {
  WeightAverage optimizer(std::make_unique<Adding>(), 0.4);
  ASSERT_EQ(optimizer.state_names(), (std::vector<std::string>{"count", "average"}));
  std::vector<OptimizerSlice> slices = {
      {at::full({3}, 5.0f), at::zeros({3}), {at::zeros({3}), at::zeros({3})}, {}}};
  double weight = 5, average = 0;
  for (int64_t step = 1; step <= 12; ++step) {
    optimizer.update(slices, /*learning_rate=*/static_cast<double>(step), step, 1);
    weight += static_cast<double>(step);
    const double decay = step == 1 ? 0 : std::min(0.4, step / (9.0 + static_cast<double>(step)));
    average = decay * average + (1 - decay) * weight;
    EXPECT_FLOAT_EQ(slices[0].parameter[1].item<float>(), static_cast<float>(weight));
    EXPECT_NEAR(slices[0].states[1][2].item<double>(), average, 1e-5 * average);
    EXPECT_EQ(slices[0].states[0][0].item<float>(), static_cast<float>(step));
  }
}

TEST(WeightAverage, KeepsMoreTheLongerItLasts) {
  EXPECT_EQ(average_decay(0.999, 1), 0);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 2), 2.0 / 11);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 101), 101.0 / 110);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 1000000), 0.999);
}

}  // namespace
}  // namespace triga
