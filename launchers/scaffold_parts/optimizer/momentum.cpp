#include "momentum.h"

#include <ATen/ATen.h>

namespace triga::plugin_my_plugin {

void describe(Fields& fields, MomentumConfig& config) {
  fields.field("beta", config.beta)
      .help("What is left of the velocity after a step.")
      .at_least(0)
      .below(1);
  fields.field("weight_decay", config.weight_decay)
      .help(
          "Share of a weight that a step with learning rate 1 takes away; not of biases and norms.")
      .at_least(0);
}

/// Of slices of any length: a rank has a part of a parameter, so each element goes by its own gradient
/// and state alone (or needs_whole_parameters() says otherwise).
void Momentum::update(std::span<OptimizerSlice> slices, double learning_rate, int64_t /*step*/,
                      double gradient_scale) {
  for (OptimizerSlice& slice : slices) {
    const double rate = learning_rate * slice.group.learning_rate_scale;
    const double decay = slice.group.weight_decay.value_or(config_.weight_decay);
    const at::Tensor& velocity = slice.states[0];
    velocity.mul_(config_.beta).add_(slice.gradient, gradient_scale);
    slice.parameter.mul_(1 - rate * decay).sub_(velocity, rate);
  }
}

}  // namespace triga::plugin_my_plugin
