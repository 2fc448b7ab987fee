#include "parameters/parameter_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <regex>
#include <tuple>

#include "triga/error.h"

namespace triga {
namespace {

constexpr int64_t kParameterAlignment =
    16;  // elements: 64 bytes, a cache line and an AVX-512 register

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Biases and norms have one dimension or none, and are not decayed (the usual rule since GPT-2 and
/// BERT).
OptimizerGroup default_group(const StoredParameter& parameter) {
  OptimizerGroup group;
  if (parameter.shape.size() <= 1) group.weight_decay = 0;
  return group;
}

void draw(at::Tensor& tensor, const Init& init, RandomKey key) {
  switch (init.kind) {
    case Init::Kind::kConstant:
      tensor.fill_(init.a);
      return;
    case Init::Kind::kNormal:
      return fill_normal(tensor, key, init.a, init.b);
    case Init::Kind::kUniform:
      return fill_uniform(tensor, key, init.a, init.b);
  }
}

}  // namespace

ParameterStore::ParameterStore(const std::vector<OwnedLayer>& layers, const StoreOptions& options,
                               const Allocate& allocate_gradients) {
  std::unordered_map<std::string, std::vector<Parameter>> handles;
  for (size_t i = 0; i < layers.size(); ++i) {
    declare(layers[i], handles);
    layer_of_.resize(parameters_.size(), static_cast<int>(i));
  }
  apply_groups(options.groups);
  lay_out(options);
  const int64_t num_elements = buckets_.empty() ? 0 : buckets_.back().end;
  flat_values_ = at::zeros({num_elements}, at::kFloat);
  flat_gradients_ = allocate_gradients(num_elements);
  bind(handles);
}

void ParameterStore::declare(const OwnedLayer& layer,
                             std::unordered_map<std::string, std::vector<Parameter>>& handles) {
  for (const Parameter& handle : layer.layer->parameters()) {
    const ParameterSpec& spec = handle.spec();
    const auto [position, is_new] = index_.try_emplace(spec.name, parameters_.size());
    handles[spec.name].push_back(handle);
    const bool trainable = spec.trainable && !layer.spec->frozen;
    if (is_new) {
      StoredParameter stored;
      stored.name = spec.name;
      stored.component = layer.spec->component;
      stored.shape = spec.shape;
      stored.init = spec.init;
      stored.is_trainable = trainable;
      stored.is_buffer = spec.is_buffer;
      stored.numel = spec.numel();
      stored.group = default_group(stored);
      parameters_.push_back(std::move(stored));
      continue;
    }
    const StoredParameter& first = parameters_[position->second];
    TRIGA_CHECK(first.shape == spec.shape && first.is_trainable == trainable, "parameter '",
                spec.name,
                "' is declared twice, with another shape or trainable in one place only");
  }
}

void ParameterStore::apply_groups(const std::vector<GroupRule>& rules) {
  for (const GroupRule& rule : rules) {
    const std::regex pattern(rule.match);
    for (StoredParameter& parameter : parameters_) {
      if (parameter.is_buffer || !std::regex_search(parameter.name, pattern)) continue;
      if (rule.frozen) parameter.is_trainable = false;
      if (rule.group.weight_decay) parameter.group.weight_decay = rule.group.weight_decay;
      if (rule.sets_learning_rate_scale)
        parameter.group.learning_rate_scale = rule.group.learning_rate_scale;
    }
  }
}

void ParameterStore::lay_out(const StoreOptions& options) {
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].is_trainable) flat_order_.push_back(i);
  // Backward order, and inside a layer by group, so that runs of one group are long.
  std::stable_sort(flat_order_.begin(), flat_order_.end(), [&](size_t a, size_t b) {
    const auto key = [&](size_t i) {
      const OptimizerGroup& group = parameters_[i].group;
      return std::tuple(-layer_of_[i], group.weight_decay.value_or(-1), group.learning_rate_scale);
    };
    return key(a) < key(b);
  });
  int64_t offset = 0;
  for (size_t i : flat_order_) {
    StoredParameter& parameter = parameters_[i];
    const bool is_full =
        !buckets_.empty() && (offset - buckets_.back().begin) * int64_t{4} >= options.bucket_bytes;
    if (buckets_.empty() || is_full) {
      offset = round_up(offset, options.bucket_alignment);
      if (!buckets_.empty()) buckets_.back().end = offset;
      buckets_.push_back({offset, offset, {}});
    }
    parameter.offset = offset;
    parameter.bucket = static_cast<int>(buckets_.size()) - 1;
    buckets_.back().parameters.push_back(i);
    offset = round_up(offset + parameter.numel, kParameterAlignment);
    num_trainable_ += parameter.numel;
  }
  if (!buckets_.empty()) buckets_.back().end = round_up(offset, options.bucket_alignment);
}

void ParameterStore::bind(const std::unordered_map<std::string, std::vector<Parameter>>& handles) {
  for (StoredParameter& parameter : parameters_) {
    if (parameter.is_trainable) {
      // A view of the flat buffer that autograd takes for a leaf: detach() cuts the view's history.
      parameter.value = flat_values_.narrow(0, parameter.offset, parameter.numel)
                            .view(parameter.shape)
                            .detach()
                            .set_requires_grad(true);
      parameter.gradient =
          flat_gradients_.narrow(0, parameter.offset, parameter.numel).view(parameter.shape);
      parameter.value.mutable_grad() = parameter.gradient;
    } else {
      parameter.value = at::zeros(parameter.shape, at::kFloat);
    }
    for (const Parameter& handle : handles.at(parameter.name)) {
      handle.bind(parameter.value);
      handle.set_trainable(parameter.is_trainable);
    }
  }
}

const StoredParameter* ParameterStore::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &parameters_[found->second];
}

void ParameterStore::initialize(uint64_t seed) {
  for (const StoredParameter& parameter : parameters_) initialize(parameter, seed);
}

void ParameterStore::initialize(const StoredParameter& parameter, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const RandomKey key = RandomKey(seed).with("initial value").with(parameter.name);
  at::Tensor drawn = at::empty(parameter.shape, at::kFloat);
  draw(drawn, parameter.init, key);
  at::Tensor value = parameter.value;
  value.copy_(drawn);
}

void ParameterStore::zero_gradients() {
  flat_gradients_.zero_();
}

std::vector<ParameterStore::Run> ParameterStore::runs() const {
  std::vector<Run> runs;
  for (size_t i : flat_order_) {
    const StoredParameter& parameter = parameters_[i];
    const int64_t end = parameter.offset + parameter.numel;
    if (!runs.empty() && runs.back().group == parameter.group)
      runs.back().end = end;  // the padding between belongs to the run: it is zero and stays so
    else
      runs.push_back({parameter.offset, end, parameter.group});
  }
  return runs;
}

}  // namespace triga
