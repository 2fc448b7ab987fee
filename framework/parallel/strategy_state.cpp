// What a strategy keeps, for checkpoints and for the plan of memory.
#include <ATen/ops/empty.h>

#include <algorithm>

#include "parallel/strategy.h"

namespace triga {

std::vector<Strategy::NamedTensor> Strategy::collect_weights() {
  gatherer_.await_all();
  std::vector<NamedTensor> collected;
  if (options_.compute_type != at::kFloat) {
    for (const auto& [parameter, value] :
         collector_.collect(store_.masters(), "weights", /*to_first=*/true))
      if (model_.is_first_owner(parameter->name))
        collected.push_back({parameter->component, parameter->name, value.cpu()});
  }
  if (data_.rank() != 0) return {};
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!model_.is_first_owner(parameter.name)) continue;
    if (parameter.exact.defined())
      collected.push_back({parameter.component, parameter.name, parameter.exact});
    else if (options_.compute_type == at::kFloat || !parameter.is_trainable)
      collected.push_back(

          {parameter.component, parameter.name, parameter.value.detach().to(at::kCPU, at::kFloat)});
  }
  return collected;
}

std::vector<Strategy::NamedTensor> Strategy::collect_optimizer_state() {
  std::vector<NamedTensor> collected;
  for (size_t i = 0; i < optimizer_.state_names().size(); ++i) {
    const std::string& state = optimizer_.state_names()[i];
    for (const auto& [parameter, value] :
         collector_.collect(optimizer_.state(i), state, /*to_first=*/false))
      if (model_.is_first_owner(parameter->name))
        collected.push_back({parameter->component, parameter->name + "." + state, value.cpu()});
  }
  return collected;
}

void Strategy::restore_optimizer_state(
    const std::function<void(const std::string& name, int64_t first, const at::Tensor& into)>&
        read) {
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!parameter.is_trainable) continue;
    const auto bucket = static_cast<size_t>(parameter.bucket);
    const FlatRange mine = parameter.range().intersect(store_.owned(store_.buckets()[bucket]));
    if (mine.is_empty()) continue;
    for (size_t i = 0; i < optimizer_.state_names().size(); ++i) {
      at::Tensor state = store_.owned_view(optimizer_.state(i), bucket, mine);
      const at::Tensor on_host = state.is_cpu() ? state : at::empty({mine.size()}, at::kFloat);
      read(parameter.name + "." + optimizer_.state_names()[i], mine.begin - parameter.offset,
           on_host);
      if (!state.is_cpu()) state.copy_(on_host);
    }
  }
}

MemoryPlan Strategy::memory_plan() const {
  MemoryQuestion question;
  question.num_elements = store_.flat_values().numel();
  question.num_buckets = static_cast<int64_t>(store_.buckets().size());
  for (const Bucket& bucket : store_.buckets())
    question.longest_bucket = std::max(question.longest_bucket, bucket.range.size());
  question.num_ranks = data_.size();
  question.zero = options_.zero;
  question.num_states = static_cast<int>(optimizer_.state_names().size());
  question.compute_type = options_.compute_type;
  return plan_memory(question);
}

}  // namespace triga
