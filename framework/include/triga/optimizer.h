// Optimizer: how parameters change, given gradients. It sees flat slices, never a model: the slices
// of a rank may begin and end anywhere in a parameter (the state is sharded over data-parallel
// ranks), unless it asks for whole parameters. LearningRateSchedule: a factor by step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace triga {

/// Values of a group of parameters, from `optimizer.groups` and the rule that biases and norms do
/// not decay.
struct OptimizerGroup {
  double learning_rate_scale = 1;
  std::optional<double> weight_decay;  // empty: the optimizer's own
  bool operator==(const OptimizerGroup&) const = default;
};

/// A run of elements of one group, contiguous in memory, on one device. All tensors are fp32 of the
/// same shape.
struct OptimizerSlice {
  at::Tensor parameter;
  at::Tensor gradient;
  std::vector<at::Tensor> states;  // in the order of state_names(); zero before the first step
  OptimizerGroup group;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Tensors of the parameter's shape that the optimizer keeps for each parameter, as torch.optim
  /// names them ("exp_avg"). A checkpoint holds them as `<parameter>.<state>`.
  virtual std::vector<std::string> state_names() const = 0;

  /// True: slices are whole parameters in their shape, not flat ranges (Muon, Shampoo).
  virtual bool needs_whole_parameters() const { return false; }

  /// Changes parameters and states in place. The learning rate of a slice is `learning_rate` times
  /// its group's scale. `step`: 1 for the first update. `gradient_scale`: multiply gradients by
  /// this (clipping), without writing them.
  virtual void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t step,
                      double gradient_scale) = 0;
};

/// What an optimizer's factory may use.
struct OptimizerContext {};

class LearningRateSchedule {
 public:
  virtual ~LearningRateSchedule() = default;
  /// Multiplies `optimizer.learning_rate`. `step`: 0 for the first update.
  virtual double factor(int64_t step) const = 0;
};

struct LearningRateScheduleContext {
  int64_t default_decay_steps =
      0;  // the limit of the run's first start; 0: not known (train.max_minutes)
};

}  // namespace triga
