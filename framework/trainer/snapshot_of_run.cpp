#include "trainer/snapshot_of_run.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <regex>

#include "checkpoint/initialize.h"

namespace triga {
namespace {

constexpr char kOptimizer[] = "optimizer";

const ComponentFiles& files_of(const ModelDirectory& model, const std::string& component) {
  for (const ComponentFiles& files : model.components)
    if (files.component == component) return files;
  throw PluginError(
      c10::str("model_directory() does not say where component '", component, "' lies"));
}

std::vector<std::regex> compile(const std::vector<std::string>& patterns) {
  std::vector<std::regex> compiled;
  for (const std::string& pattern : patterns) {
    try {
      compiled.emplace_back(pattern);
    } catch (const std::regex_error& error) {
      throw ConfigError(c10::str("model.init.reinitialize: '", pattern,
                                 "' is not a regular expression (ECMAScript): ", error.what()));
    }
  }
  return compiled;
}

/// Parameters and buffers of one component.
std::vector<ParameterSpec> specs_of(const ParameterStore& store, const std::string& component) {
  std::vector<ParameterSpec> specs;
  for (const StoredParameter& parameter : store.parameters())
    if (parameter.component == component)
      specs.push_back({parameter.name, parameter.shape, parameter.init, parameter.is_trainable,
                       parameter.is_buffer});
  return specs;
}

}  // namespace

Snapshot take_snapshot(Strategy& strategy, const Architecture& architecture,
                       const Tokenizer* tokenizer) {
  Snapshot snapshot;
  snapshot.model = architecture.model_directory();
  if (tokenizer != nullptr)
    for (const auto& [name, content] : tokenizer->files()) snapshot.files[name] = content;
  for (const StoredParameter& parameter : strategy.parameters().parameters())
    snapshot.weights[parameter.component][parameter.name] = parameter.value.detach();
  TensorsByName& optimizer = snapshot.training[kOptimizer];
  for (const FlatOptimizer::NamedState& state : strategy.optimizer().named_states())
    optimizer[state.name] = state.value;
  return snapshot;
}

void restore(Strategy& strategy, const Architecture& architecture, const Checkpoint& checkpoint) {
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
    found->second.read_into(parameter.name, parameter.value.detach());
  }
  const std::vector<FlatOptimizer::NamedState> states = strategy.optimizer().named_states();
  if (states.empty()) return;
  const TensorFiles optimizer = checkpoint.training(kOptimizer);
  for (const FlatOptimizer::NamedState& state : states)
    optimizer.read_into(state.name, state.value);
}

std::string load_weights(Strategy& strategy, const Architecture& architecture, FileSystem& files,
                         const Path& directory, const WeightsOptions& options) {
  const c10::AutoGradMode no_grad(false);
  architecture.check_compatible(read_model_files(files, directory));
  const std::vector<std::regex> patterns = compile(options.reinitialize);
  InitOptions init;
  init.strict = options.strict;
  init.reinitialize = [&](const std::string& name) {
    for (const std::regex& pattern : patterns)
      if (std::regex_search(name, pattern)) return true;
    return false;
  };
  size_t num_read = 0, num_missing = 0, num_reinitialized = 0;
  for (const ComponentFiles& component : architecture.model_directory().components) {
    const TensorFiles tensors(files, directory / component.folder, component.weights);
    const InitPlan plan = plan_initialization(
        tensors, architecture, specs_of(strategy.parameters(), component.component), init);
    for (const auto& [name, stored] : plan.stored)
      tensors.read_converted(stored, strategy.parameters().find(name)->value.detach());
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
