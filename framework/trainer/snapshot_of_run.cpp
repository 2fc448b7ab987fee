#include "trainer/snapshot_of_run.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <regex>
#include <set>

#include "parameters/declarations.h"

namespace triga {
namespace {

constexpr char kOptimizer[] = "optimizer";
constexpr char kSequenceState[] = "sequence_state";

const ComponentFiles& files_of(const ModelDirectory& model, const std::string& component) {
  for (const ComponentFiles& files : model.components)
    if (files.component == component) return files;
  throw PluginError(
      c10::str("model_directory() does not say where component '", component, "' lies"));
}

}  // namespace

Snapshot take_snapshot(Strategy& strategy, const Architecture& architecture, HostBuffers* buffers) {
  Snapshot snapshot;
  snapshot.model = architecture.model_directory();
  for (const Strategy::NamedTensor& tensor : strategy.collect_weights(buffers))
    snapshot.weights[tensor.component][tensor.name] = tensor.value;
  TensorsByName& optimizer = snapshot.training[kOptimizer];
  for (const Strategy::NamedTensor& tensor : strategy.collect_optimizer_state(buffers))
    optimizer[tensor.name] = tensor.value;
  for (const Strategy::NamedTensor& tensor : strategy.collect_sequence_state(buffers))
    snapshot.training[kSequenceState][tensor.name] = tensor.value;
  return snapshot;
}

void restore(Strategy& strategy, const Architecture& architecture, const Checkpoint& checkpoint,
             Progress* progress) {
  const auto move = [&] {
    if (progress != nullptr) progress->move();
  };
  const c10::AutoGradMode no_grad(false);
  const ModelDirectory model = architecture.model_directory();
  std::map<std::string, TensorFiles> weights;
  for (const StoredParameter& parameter : strategy.parameters().parameters()) {
    auto found = weights.find(parameter.component);
    if (found == weights.end())
      found = weights
                  .emplace(parameter.component,
                           checkpoint.weights(files_of(model, parameter.component)))
                  .first;
    const at::Tensor value = at::empty(parameter.shape, at::kFloat);
    found->second.read_into(parameter.name, value);
    strategy.parameters().set(parameter, value);
    move();
  }
  std::optional<TensorFiles> optimizer;  // opened by the first state, if there is one
  strategy.restore_optimizer_state(
      [&](const std::string& name, int64_t first, const at::Tensor& into) {
        if (!optimizer) optimizer = checkpoint.training(kOptimizer);
        optimizer->read_range(name, first, into);
        move();
      });
}

void restore_sequence_state(Strategy& strategy, const Checkpoint& checkpoint, Share microbatches) {
  if (!checkpoint.has_training(kSequenceState)) return;
  const TensorFiles stored = checkpoint.training(kSequenceState);
  for (const std::string& text : stored.names()) {
    const std::optional<CarriedName> name = carried_name_from(text);
    if (!name)
      throw CheckpointError(fmt::format("{}/training/{}: '{}' is no name of a state by sequence",
                                        checkpoint.directory().string(), kSequenceState, text));
    if (microbatches.begin <= name->microbatch && name->microbatch < microbatches.end)
      strategy.restore_sequence_state(*name, [&] { return stored.read(text); });
  }
}

SpecsByComponent specs_by_component(const std::vector<LayerSpec>& layers) {
  SpecsByComponent specs;
  std::set<std::string> seen;
  for (const std::vector<Declaration>& of_layer : declarations_of(layers))
    for (const Declaration& declaration : of_layer)
      if (seen.insert(declaration.spec.name).second)
        specs[declaration.component].push_back(declaration.spec);
  return specs;
}

std::vector<WeightsPlan> plan_weights(const Architecture& architecture,
                                      const SpecsByComponent& parameters, FileSystem& files,
                                      const Path& directory, const WeightsOptions& options) {
  architecture.check_compatible(read_model_files(files, directory));
  const std::vector<std::regex> patterns(options.reinitialize.begin(), options.reinitialize.end());
  InitOptions init;
  init.strict = options.strict;
  init.reinitialize = [&](const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::regex& pattern) { return std::regex_search(name, pattern); });
  };
  std::vector<WeightsPlan> plans;
  for (const ComponentFiles& component : architecture.model_directory().components) {
    const auto specs = parameters.find(component.component);
    if (specs == parameters.end()) continue;
    TensorFiles tensors(files, directory / component.folder, component.weights);
    InitPlan plan = plan_initialization(tensors, architecture, specs->second, init);
    plans.push_back({std::move(tensors), std::move(plan)});
  }
  return plans;
}

std::string load_weights(Strategy& strategy, const Architecture& architecture, FileSystem& files,
                         const Path& directory, const WeightsOptions& options) {
  const c10::AutoGradMode no_grad(false);
  size_t num_read = 0, num_missing = 0, num_reinitialized = 0;
  for (const auto& [tensors, plan] :
       plan_weights(architecture, specs_by_component(strategy.model().layers()), files, directory,
                    options)) {
    for (const auto& [name, stored] : plan.stored) {
      const StoredParameter* parameter = strategy.parameters().find(name);
      if (parameter == nullptr) continue;  // of another stage
      const at::Tensor value = at::empty(parameter->shape, at::kFloat);
      tensors.read_converted(stored, value);
      strategy.parameters().set(*parameter, value);
    }
    num_read += plan.stored.size();
    num_missing += plan.missing.size();
    num_reinitialized += plan.reinitialized.size();
  }
  return fmt::format(
      "{} tensors read from {}{}{}", num_read, directory.string(),
      num_missing > 0 ? fmt::format("; {} missing, drawn anew", num_missing) : "",
      num_reinitialized > 0 ? fmt::format("; {} drawn anew as asked", num_reinitialized) : "");
}

}  // namespace triga
