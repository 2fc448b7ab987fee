#include "optim/flat_optimizer.h"

#include <c10/core/GradMode.h>

#include "base/large_pages.h"

namespace triga {

FlatOptimizer::FlatOptimizer(std::unique_ptr<Optimizer> optimizer, const ParameterStore& store,
                             const Gradients& gradients)
    : optimizer_(std::move(optimizer)),
      code_(code_of("optimizer", *optimizer_)),
      state_names_(optimizer_->state_names()) {
  for (size_t i = 0; i < state_names_.size(); ++i)
    states_.push_back(zeros_in_large_pages(
        store.num_owned(), at::TensorOptions().dtype(at::kFloat).device(store.options().device)));
  for (size_t bucket = 0; bucket < store.buckets().size(); ++bucket) {
    std::vector<OptimizerSlice>& slices = slices_.emplace_back();
    for (const ParameterStore::Run& run : store.runs(store.owned(store.buckets()[bucket]))) {
      const auto shaped = [&](at::Tensor flat) {
        return run.whole == nullptr ? flat : flat.view(run.whole->shape);
      };
      OptimizerSlice slice{shaped(store.masters(bucket, run.range)),
                           shaped(gradients(bucket, run.range)),
                           {},
                           run.group};
      for (const at::Tensor& state : states_)
        slice.states.push_back(shaped(store.owned_view(state, bucket, run.range)));
      slices.push_back(std::move(slice));
    }
  }
}

void FlatOptimizer::update(size_t bucket, double learning_rate, double gradient_scale) {
  const c10::AutoGradMode no_grad(false);
  if (slices_[bucket].empty()) return;
  PluginCall("update", code_).run([&] {
    optimizer_->update(slices_[bucket], learning_rate, num_updates_, gradient_scale);
  });
}

}  // namespace triga
