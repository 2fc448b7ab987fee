// FlatOptimizer: an Optimizer with its state, applied to the flat buffers of a ParameterStore.
// State lies in buffers of the same layout, so slices are views; by name they are what a checkpoint
// holds.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "parameters/parameter_store.h"
#include "triga/optimizer.h"

namespace triga {

class FlatOptimizer {
 public:
  /// `store` must outlive it.
  FlatOptimizer(std::unique_ptr<Optimizer> optimizer, const ParameterStore& store);

  /// One update from the gradients in the store. `gradient_scale` multiplies them first.
  void update(double learning_rate, double gradient_scale);

  /// Updates done since the start of the run.
  int64_t num_updates() const { return num_updates_; }
  void set_num_updates(int64_t num_updates) { num_updates_ = num_updates; }

  struct NamedState {
    std::string name;  // `<parameter>.<state>`
    at::Tensor value;  // a view in the parameter's shape
  };
  /// In the order of the store's parameters.
  std::vector<NamedState> named_states() const;

 private:
  std::unique_ptr<Optimizer> optimizer_;
  const ParameterStore& store_;
  std::vector<at::Tensor> states_;  // one a state name, each as long as the store's flat buffers
  std::vector<OptimizerSlice> slices_;
  int64_t num_updates_ = 0;
};

}  // namespace triga
