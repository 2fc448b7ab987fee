// What a strategy keeps, for checkpoints and for the plan of memory.
#include <ATen/ops/empty.h>

#include <c10/core/GradMode.h>

#include <algorithm>

#include "optim/weight_average.h"
#include "parallel/strategy.h"

namespace triga {
namespace {

/// In fp32 on the host; in `buffers`, if there are any.
at::Tensor on_host(const std::string& name, const at::Tensor& value, HostBuffers* buffers) {
  const at::Tensor detached = value.detach();
  if (buffers == nullptr) return detached.to(at::kCPU, at::kFloat).contiguous();
  return buffers->keep(name, detached.to(at::kFloat));
}

}  // namespace

std::vector<Strategy::NamedTensor> Strategy::collect_weights(HostBuffers* buffers) {
  gatherer_.await_all();
  std::vector<NamedTensor> collected;
  if (options_.compute_type != at::kFloat) {
    for (const auto& [parameter, value] :
         collector_.collect(store_.masters(), "weights", /*to_first=*/true, buffers))
      if (model_.is_first_owner(parameter->name))
        collected.push_back(
            {parameter->component, parameter->name, on_host(parameter->name, value, buffers)});
  }
  if (data_.rank() != 0) return {};
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!model_.is_first_owner(parameter.name)) continue;
    const bool is_collected = options_.compute_type != at::kFloat && parameter.is_trainable;
    if (is_collected && !parameter.exact.defined()) continue;
    const at::Tensor& value = parameter.exact.defined() ? parameter.exact : parameter.value;
    collected.push_back(
        {parameter.component, parameter.name, on_host(parameter.name, value, buffers)});
  }
  return collected;
}

std::vector<Strategy::NamedTensor> Strategy::collect_optimizer_state(HostBuffers* buffers) {
  std::vector<NamedTensor> collected;
  for (size_t i = 0; i < optimizer_.state_names().size(); ++i) {
    const std::string state = stored_state_name(i);
    for (const auto& [parameter, value] :
         collector_.collect(optimizer_.state(i), state, /*to_first=*/false, buffers)) {
      if (!model_.is_first_owner(parameter->name)) continue;
      const std::string name = parameter->name + "." + state;
      collected.push_back({parameter->component, name, on_host(name, value, buffers)});
    }
  }
  return collected;
}

std::vector<Strategy::NamedTensor> Strategy::collect_sequence_state(HostBuffers* buffers) const {
  std::vector<NamedTensor> collected;
  for (const auto& [name, value] : carried_.entries())
    collected.push_back({"", to_text(name), on_host(to_text(name), value, buffers)});
  return collected;
}

void Strategy::restore_sequence_state(const CarriedName& name,
                                      const std::function<at::Tensor()>& read) {
  for (const auto& [number, stage] : model_.stages())
    for (const Stage::BuiltLayer& built : stage->layers())
      if (built.spec->name == name.layer)
        carried_.restore(name, read().to(data_.device(), options_.compute_type));
}

void Strategy::restore_optimizer_state(
    const std::function<void(const std::string& name, int64_t first, const at::Tensor& into)>&
        read) {
  const std::vector<std::string>& names = optimizer_.state_names();
  shows_average_ = std::find(names.begin(), names.end(), kWeightAverage) != names.end();
  for (const StoredParameter& parameter : store_.parameters()) {
    if (!parameter.is_trainable) continue;
    const auto bucket = static_cast<size_t>(parameter.bucket);
    const FlatRange mine = parameter.range().intersect(store_.owned(store_.buckets()[bucket]));
    if (mine.is_empty()) continue;
    for (size_t i = 0; i < optimizer_.state_names().size(); ++i) {
      at::Tensor state = store_.owned_view(optimizer_.state(i), bucket, mine);
      const at::Tensor on_host = state.is_cpu() ? state : at::empty({mine.size()}, at::kFloat);
      read(parameter.name + "." + stored_state_name(i), mine.begin - parameter.offset, on_host);
      if (!state.is_cpu()) state.copy_(on_host);
    }
  }
  show_weights();
}

std::string Strategy::stored_state_name(size_t state) const {
  const std::string& name = optimizer_.state_names()[state];
  return shows_average_ && name == kWeightAverage ? "raw" : name;
}

void Strategy::show_average() {
  if (!shows_average_) exchange_average();
}

void Strategy::show_weights() {
  if (shows_average_) exchange_average();
}

/// The average and the weights change places, in what this rank owns; then the ranks gather.
void Strategy::exchange_average() {
  const std::vector<std::string>& names = optimizer_.state_names();
  const auto found = std::find(names.begin(), names.end(), kWeightAverage);
  if (found == names.end()) return;
  const c10::AutoGradMode no_grad(false);
  const at::Tensor& averages = optimizer_.state(static_cast<size_t>(found - names.begin()));
  gatherer_.await_all();
  for (size_t bucket = 0; bucket < store_.buckets().size(); ++bucket) {
    const FlatRange owned = store_.owned(store_.buckets()[bucket]);
    at::Tensor weights = store_.masters(bucket, owned);
    at::Tensor average = store_.owned_view(averages, bucket, owned);
    const at::Tensor before = weights.clone();
    weights.copy_(average);
    average.copy_(before);
    store_.publish(bucket);
    gatherer_.start(bucket);
  }
  gatherer_.await_all();
  shows_average_ = !shows_average_;
}

MemoryPlan Strategy::memory_plan() const {
  MemoryQuestion question;
  question.num_elements = store_.flat_values().numel();
  for (const int64_t size : GradientReducer::slot_sizes(store_)) question.slot_elements += size;
  for (const Bucket& bucket : store_.buckets())
    if (!bucket.sharing.empty()) question.shared_elements += bucket.range.size();
  for (const StoredParameter& parameter : store_.parameters()) {
    if (parameter.is_trainable) continue;
    question.fixed_bytes += static_cast<int64_t>(parameter.value.nbytes());
    if (parameter.exact.defined())
      question.fixed_bytes += static_cast<int64_t>(parameter.exact.nbytes());
  }
  question.num_ranks = data_.size();
  question.zero = options_.zero;
  question.num_states = static_cast<int>(optimizer_.state_names().size());
  question.compute_type = options_.compute_type;
  return plan_memory(question);
}

}  // namespace triga
