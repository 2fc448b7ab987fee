// An optimizer for models of others: Lion (Chen et al. 2023, "Symbolic Discovery of Optimization
// Algorithms"), which steps by the sign of an average of gradients.
#include <ATen/ATen.h>

#include "triga/plugin.h"

namespace triga::outside {

struct LionConfig {
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;
};

void describe(Fields& fields, LionConfig& config) {
  fields.field("beta1", config.beta1)
      .help("Of the average that is stepped by.")
      .at_least(0)
      .below(1);
  fields.field("beta2", config.beta2).help("Of the average that is kept.").at_least(0).below(1);
  fields.field("weight_decay", config.weight_decay).help("Decoupled.").at_least(0);
}

class Lion final : public Optimizer {
 public:
  explicit Lion(const LionConfig& config) : config_(config) {}

  std::vector<std::string> state_names() const override { return {"exp_avg"}; }

  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t /*step*/,
              double gradient_scale) override {
    for (OptimizerSlice& slice : slices) {
      const double rate = learning_rate * slice.group.learning_rate_scale;
      const double decay = slice.group.weight_decay.value_or(config_.weight_decay);
      const at::Tensor gradient = slice.gradient * gradient_scale;
      const at::Tensor& average = slice.states[0];
      const at::Tensor direction = at::lerp(gradient, average, config_.beta1).sign_();
      slice.parameter.mul_(1 - rate * decay).sub_(direction, rate);
      average.lerp_(gradient, 1 - config_.beta2);
    }
  }

 private:
  LionConfig config_;
};

}  // namespace triga::outside

TRIGA_PLUGIN(lion, "1.0.0") {
  using namespace triga;
  registry.optimizers.add<outside::LionConfig>(
      "lion", "Lion (Chen et al. 2023).",
      [](const outside::LionConfig& config, const OptimizerContext&) {
        return std::make_unique<outside::Lion>(config);
      });
}
