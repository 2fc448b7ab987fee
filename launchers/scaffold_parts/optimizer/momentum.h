// The optimizer: gradient descent with momentum (Polyak 1964).
#pragma once

#include "triga/config.h"
#include "triga/optimizer.h"

namespace triga::plugin_my_plugin {

/// The options: a struct with defaults, and a function that describes each field. The learning rate is
/// no option of a kind: `optimizer.learning_rate` and the schedule give it.
struct MomentumConfig {
  double beta = 0.9;
  double weight_decay = 0;
};

void describe(Fields& fields, MomentumConfig& config);

class Momentum final : public Optimizer {
 public:
  explicit Momentum(const MomentumConfig& config) : config_(config) {}

  /// Kept for each parameter, sharded over the ranks, in checkpoints as `<parameter>.velocity`.
  std::vector<std::string> state_names() const override { return {"velocity"}; }
  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t step,
              double gradient_scale) override;

 private:
  MomentumConfig config_;
};

}  // namespace triga::plugin_my_plugin
