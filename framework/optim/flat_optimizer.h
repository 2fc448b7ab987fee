// FlatOptimizer: an Optimizer with its state, applied to what a rank owns of the flat buffers of a
// ParameterStore, bucket by bucket.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/plugin_call.h"
#include "parameters/parameter_store.h"
#include "triga/optimizer.h"

namespace triga {

class FlatOptimizer {
 public:
  /// `gradients`: the fp32 gradients of a range of a bucket that this rank owns; their memory stays
  /// where it is. `store` must outlive it.
  using Gradients = std::function<at::Tensor(size_t bucket, FlatRange range)>;
  FlatOptimizer(std::unique_ptr<Optimizer> optimizer, const ParameterStore& store,
                const Gradients& gradients);

  /// Every bucket is updated once a step. `gradient_scale` multiplies the gradients first.
  void begin_step() { ++num_updates_; }
  void update(size_t bucket, double learning_rate, double gradient_scale);

  /// Updates done since the start of the run.
  int64_t num_updates() const { return num_updates_; }
  void set_num_updates(int64_t num_updates) { num_updates_ = num_updates; }

  /// As in the optimizer; `state(i)` holds what this rank owns, see ParameterStore::owned_view.
  const std::vector<std::string>& state_names() const { return state_names_; }
  const at::Tensor& state(size_t i) const { return states_[i]; }

 private:
  std::unique_ptr<Optimizer> optimizer_;
  PluginCode code_;
  std::vector<std::string> state_names_;
  std::vector<at::Tensor> states_;                   // one a state name, fp32 [num_owned]
  std::vector<std::vector<OptimizerSlice>> slices_;  // [bucket]
  int64_t num_updates_ = 0;
};

}  // namespace triga
