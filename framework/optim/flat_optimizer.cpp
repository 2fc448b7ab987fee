#include "optim/flat_optimizer.h"

#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace triga {

FlatOptimizer::FlatOptimizer(std::unique_ptr<Optimizer> optimizer, const ParameterStore& store)
    : optimizer_(std::move(optimizer)), store_(store) {
  for (size_t i = 0; i < optimizer_->state_names().size(); ++i)
    states_.push_back(at::zeros_like(store.flat_values()));
  const auto add_slice = [&](const auto& view, const OptimizerGroup& group) {
    OptimizerSlice slice{view(store.flat_values()), view(store.flat_gradients()), {}, group};
    for (const at::Tensor& state : states_) slice.states.push_back(view(state));
    slices_.push_back(std::move(slice));
  };
  if (optimizer_->needs_whole_parameters()) {
    for (const StoredParameter& parameter : store.parameters())
      if (parameter.is_trainable)
        add_slice(
            [&](const at::Tensor& flat) {
              return flat.narrow(0, parameter.offset, parameter.numel).view(parameter.shape);
            },
            parameter.group);
  } else {
    for (const ParameterStore::Run& run : store.runs())
      add_slice([&](const at::Tensor& flat) { return flat.slice(0, run.begin, run.end); },
                run.group);
  }
}

void FlatOptimizer::update(double learning_rate, double gradient_scale) {
  const c10::AutoGradMode no_grad(false);
  optimizer_->update(slices_, learning_rate, ++num_updates_, gradient_scale);
}

std::vector<FlatOptimizer::NamedState> FlatOptimizer::named_states() const {
  std::vector<NamedState> named;
  const std::vector<std::string> names = optimizer_->state_names();
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!parameter.is_trainable) continue;
    for (size_t i = 0; i < names.size(); ++i)
      named.push_back(
          {parameter.name + "." + names[i],
           states_[i].narrow(0, parameter.offset, parameter.numel).view(parameter.shape)});
  }
  return named;
}

}  // namespace triga
