// Opens well; its optimizer does not hear a value of the groups: what its option says.
#include <ATen/ATen.h>

#include "triga/plugin.h"

namespace triga::test {
namespace {

struct DeafConfig {
  std::string to;
  double weight_decay = 0.1;
};

void describe(Fields& fields, DeafConfig& config) {
  fields.field("to", config.to).help("The value that it does not hear.").required();
  fields.field("weight_decay", config.weight_decay).help("Decoupled.").at_least(0);
}

class Deaf final : public Optimizer {
 public:
  explicit Deaf(const DeafConfig& config) : config_(config) {}
  std::vector<std::string> state_names() const override { return {}; }
  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t /*step*/,
              double gradient_scale) override {
    for (OptimizerSlice& slice : slices) {
      OptimizerGroup group = slice.group;
      if (config_.to == "learning_rate_scale") group.learning_rate_scale = 1;
      if (config_.to == "weight_decay") group.weight_decay.reset();
      const double rate = learning_rate * group.learning_rate_scale;
      slice.parameter.mul_(1 - rate * group.weight_decay.value_or(config_.weight_decay));
      slice.parameter.sub_(slice.gradient, rate * gradient_scale);
    }
  }

 private:
  DeafConfig config_;
};

}  // namespace
}  // namespace triga::test

TRIGA_PLUGIN(deaf_to_groups, "1.0.0") {
  registry.optimizers.add<triga::test::DeafConfig>(
      "deaf", "Gradient descent that does not hear everything.",
      [](const triga::test::DeafConfig& config, const triga::OptimizerContext&) {
        return std::make_unique<triga::test::Deaf>(config);
      });
}
