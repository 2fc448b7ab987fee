#include "parameters/parameter_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <regex>
#include <tuple>

#include "base/large_pages.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr int64_t kParameterAlignment =
    16;  // elements: 64 bytes, a cache line and an AVX-512 register

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t padded(const StoredParameter& parameter) {
  return round_up(parameter.numel, kParameterAlignment);
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
      break;
    case Init::Kind::kNormal:
      fill_normal(tensor, key, init.a, init.b);
      break;
    case Init::Kind::kUniform:
      fill_uniform(tensor, key, init.a, init.b);
      break;
  }
  if (init.end_row > init.first_row)
    tensor.narrow(0, init.first_row, init.end_row - init.first_row).fill_(init.row_value);
}

}  // namespace

ParameterStore::ParameterStore(const std::vector<OwnedLayer>& layers, const StoreOptions& options,
                               const Allocate& allocate)
    : options_(options) {
  std::unordered_map<std::string, std::vector<Parameter>> handles;
  for (size_t i = 0; i < layers.size(); ++i) {
    declare(layers[i], handles);
    layer_of_.resize(parameters_.size(), static_cast<int>(i));
    stage_of_.resize(parameters_.size(), layers[i].stage);
  }
  apply_groups(options.groups);
  lay_out();
  const int64_t num_elements = buckets_.empty() ? 0 : buckets_.back().range.end;
  flat_values_ = allocate(num_elements, options.compute_type);
  if (options.has_gradients) flat_gradients_ = allocate(num_elements, at::kFloat);
  if (options.compute_type != at::kFloat)
    masters_ = zeros_in_large_pages(num_owned_,
                                    at::TensorOptions().dtype(at::kFloat).device(options.device));
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
    if (first.shape != spec.shape)
      throw Error(c10::str("parameter '", spec.name, "' is declared twice, with shapes [",
                           c10::Join(", ", first.shape), "] and [", c10::Join(", ", spec.shape),
                           "]: layers that share one declare the same; others need other names"));
    if (first.is_trainable != trainable)
      throw Error(c10::str("parameter '", spec.name,
                           "' is declared twice, and frozen in one of the places only"));
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

/// Backward order, and inside a layer by group, so that runs of one group are long.
std::vector<size_t> ParameterStore::backward_order() const {
  std::vector<size_t> order;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].is_trainable) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const auto key = [&](size_t i) {
      const OptimizerGroup& group = parameters_[i].group;
      return std::tuple(-layer_of_[i], group.weight_decay.value_or(-1), group.learning_rate_scale);
    };
    return key(a) < key(b);
  });
  return order;
}

void ParameterStore::lay_out() {
  std::vector<size_t> of_stage;
  std::map<std::vector<int>, std::vector<size_t>> shared;  // by the stages that have them
  for (size_t i : backward_order()) {
    num_trainable_ += parameters_[i].numel;
    const auto sharing = options_.sharing.find(parameters_[i].name);
    if (sharing != options_.sharing.end()) {
      shared[sharing->second].push_back(i);
      continue;
    }
    if (!of_stage.empty() && stage_of_[of_stage.back()] != stage_of_[i]) {
      place_buckets(of_stage);
      of_stage.clear();
    }
    of_stage.push_back(i);
  }
  place_buckets(of_stage);
  for (auto& [stages, parameters] : shared) {
    // In an order that does not depend on the layers of a stage.
    std::sort(parameters.begin(), parameters.end(),
              [&](size_t a, size_t b) { return parameters_[a].name < parameters_[b].name; });
    const size_t first = buckets_.size();
    place_buckets(parameters);
    for (size_t i = first; i < buckets_.size(); ++i) buckets_[i].sharing = stages;
  }
}

void ParameterStore::place_buckets(const std::vector<size_t>& parameters) {
  std::vector<size_t> bucket;
  int64_t bytes = 0;
  for (size_t i : parameters) {
    bucket.push_back(i);
    bytes += padded(parameters_[i]) * int64_t{sizeof(float)};
    if (bytes < options_.bucket_bytes) continue;
    place_bucket(std::move(bucket));
    bucket.clear();
    bytes = 0;
  }
  if (!bucket.empty()) place_bucket(std::move(bucket));
}

/// Lays the parameters of a bucket out behind the last one. With whole parameters each goes to the
/// part that has least so far, the largest first.
void ParameterStore::place_bucket(std::vector<size_t> parameters) {
  const auto num_parts = static_cast<size_t>(options_.num_parts);
  std::vector<std::vector<size_t>> parts(1, parameters);
  std::vector<int64_t> sizes(num_parts, 0);
  int64_t total = 0;
  for (size_t i : parameters) total += padded(parameters_[i]);
  int64_t part_size =
      round_up((total + options_.num_parts - 1) / options_.num_parts, kParameterAlignment);
  if (options_.whole_parameters && num_parts > 1) {
    parts.assign(num_parts, {});
    std::stable_sort(parameters.begin(), parameters.end(), [&](size_t a, size_t b) {
      return parameters_[a].numel > parameters_[b].numel;
    });
    for (size_t i : parameters) {
      const auto least = std::min_element(sizes.begin(), sizes.end());
      *least += padded(parameters_[i]);
      parts[static_cast<size_t>(least - sizes.begin())].push_back(i);
    }
    part_size = *std::max_element(sizes.begin(), sizes.end());
  }
  Bucket bucket;
  bucket.stage = stage_of_[parameters.front()];
  bucket.range.begin = buckets_.empty() ? 0 : buckets_.back().range.end;
  bucket.range.end = bucket.range.begin + part_size * options_.num_parts;
  for (size_t part = 0; part < parts.size(); ++part) {
    int64_t offset = bucket.range.begin + static_cast<int64_t>(part) * part_size;
    for (size_t i : parts[part]) {
      parameters_[i].offset = offset;
      parameters_[i].bucket = static_cast<int>(buckets_.size());
      bucket.parameters.push_back(i);
      flat_order_.push_back(i);
      offset += padded(parameters_[i]);
    }
  }
  int64_t end = bucket.range.begin;  // of the last parameter
  for (size_t i : bucket.parameters) {
    if (parameters_[i].offset > end) bucket.padding.push_back({end, parameters_[i].offset});
    end = parameters_[i].offset + parameters_[i].numel;
  }
  if (end < bucket.range.end) bucket.padding.push_back({end, bucket.range.end});
  owned_offsets_.push_back(num_owned_);
  num_owned_ += owned(bucket).size();
  buckets_.push_back(std::move(bucket));
}

void ParameterStore::bind(const std::unordered_map<std::string, std::vector<Parameter>>& handles) {
  for (StoredParameter& parameter : parameters_) {
    if (parameter.is_trainable) {
      // A view of the flat buffer that autograd takes for a leaf: detach() cuts the view's history.
      parameter.value =
          parameter.range().of(flat_values_).view(parameter.shape).detach().set_requires_grad(true);
      if (options_.has_gradients) {
        parameter.gradient = parameter.range().of(flat_gradients_).view(parameter.shape);
        parameter.value.mutable_grad() = parameter.gradient;
      }
    } else {
      const auto type = parameter.is_buffer ? at::kFloat : options_.compute_type;
      parameter.value =
          at::zeros(parameter.shape, at::TensorOptions().dtype(type).device(options_.device));
      // What is never trained comes out of a checkpoint as it went in.
      if (type != at::kFloat && options_.own_part == 0)
        parameter.exact = at::zeros(parameter.shape, at::kFloat);
    }
    for (const Parameter& handle : handles.at(parameter.name)) {
      handle.bind(parameter.value);
      handle.set_trainable(parameter.is_trainable);
      if (parameter.is_trainable) handles_.emplace_back(index_.at(parameter.name), handle);
    }
  }
}

const StoredParameter* ParameterStore::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &parameters_[found->second];
}

FlatRange ParameterStore::part(const Bucket& bucket) const {
  return bucket.part(options_.own_part, options_.num_parts);
}

FlatRange ParameterStore::owned(const Bucket& bucket) const {
  return options_.is_sharded ? part(bucket) : bucket.range;
}

at::Tensor ParameterStore::owned_view(const at::Tensor& buffer, size_t bucket,
                                      FlatRange range) const {
  const int64_t shift = owned_offsets_[bucket] - owned(buckets_[bucket]).begin;
  return FlatRange{range.begin + shift, range.end + shift}.of(buffer);
}

at::Tensor ParameterStore::masters(size_t bucket, FlatRange range) const {
  return masters_.defined() ? owned_view(masters_, bucket, range) : range.of(flat_values_);
}

void ParameterStore::publish(size_t bucket) const {
  if (!masters_.defined()) return;
  const FlatRange range = owned(buckets_[bucket]);
  range.of(flat_values_).copy_(masters(bucket, range));
}

void ParameterStore::initialize(uint64_t seed) {
  for (const StoredParameter& parameter : parameters_) initialize(parameter, seed);
}

void ParameterStore::initialize(const StoredParameter& parameter, uint64_t seed) {
  const RandomKey key = RandomKey(seed).with("initial value").with(parameter.name);
  at::Tensor drawn = at::empty(parameter.shape, at::kFloat);
  draw(drawn, parameter.init, key);
  set(parameter, drawn);
}

void ParameterStore::set(const StoredParameter& parameter, const at::Tensor& value) {
  const at::NoGradGuard no_grad;
  at::Tensor target = parameter.value, exact = parameter.exact;
  target.copy_(value);
  if (exact.defined()) exact.copy_(value);
  if (!masters_.defined() || !parameter.is_trainable) return;
  const auto bucket = static_cast<size_t>(parameter.bucket);
  const FlatRange mine = parameter.range().intersect(owned(buckets_[bucket]));
  if (mine.is_empty()) return;
  const int64_t begin = mine.begin - parameter.offset;
  masters(bucket, mine).copy_(value.flatten().slice(0, begin, begin + mine.size()));
}

void ParameterStore::set_sink(GradientSink* sink) const {
  for (const auto& [index, handle] : handles_) handle.set_sink(sink, index);
}

void ParameterStore::zero_gradients() {
  flat_gradients_.zero_();
}

std::vector<ParameterStore::Run> ParameterStore::runs(FlatRange range) const {
  std::vector<Run> runs;
  for (size_t i : flat_order_) {
    const StoredParameter& parameter = parameters_[i];
    const FlatRange mine = parameter.range().intersect(range);
    if (mine.is_empty()) continue;
    if (options_.whole_parameters)
      runs.push_back({mine, parameter.group, &parameter});
    else if (!runs.empty() && runs.back().group == parameter.group)
      runs.back().range.end = mine.end;  // the padding between is zero and stays so
    else
      runs.push_back({mine, parameter.group});
  }
  return runs;
}

}  // namespace triga
