#include "trainer/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <set>

#include "config/placed.h"
#include "parallel/pipeline/partition.h"
#include "trainer/snapshot_of_run.h"

namespace triga {
namespace {

/// Every parameter and buffer of the model once, by component.
std::map<std::string, std::vector<ParameterSpec>> declared_parameters(
    const std::vector<LayerSpec>& layers) {
  std::map<std::string, std::vector<ParameterSpec>> declared;
  std::set<std::string> seen;
  for (const LayerSpec& layer : layers) {
    const std::unique_ptr<Layer> built = layer.build();
    for (const Parameter& parameter : built->parameters())
      if (seen.insert(parameter.spec().name).second)
        declared[layer.component].push_back(parameter.spec());
  }
  return declared;
}

void check_groups(const std::vector<GroupConfig>& groups,
                  const std::map<std::string, std::vector<ParameterSpec>>& declared) {
  std::vector<std::string> names;
  for (const auto& [component, specs] : declared)
    for (const ParameterSpec& spec : specs)
      if (!spec.is_buffer) names.push_back(spec.name);
  for (const GroupConfig& group : groups) {
    const std::regex pattern(group.match);
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return std::regex_search(name, pattern); }))
      continue;
    throw config_error(group.place.place_of("match"),
                       fmt::format("'{}' matches no parameter; the model has {}", group.match,
                                   names.empty() ? "none"
                                                 : fmt::format("{}: {} ... {}", names.size(),
                                                               names.front(), names.back())));
  }
}

}  // namespace

int64_t check_model(const Experiment& experiment, const Assembly& assembly, FileSystem& files) {
  const std::vector<LayerSpec> layers = assembly.architecture->layers();
  check_layers(layers);
  const auto declared = declared_parameters(layers);
  check_groups(experiment.optimizer.groups, declared);
  if (const auto& init = experiment.model.init)
    placed(init->place, [&] {
      plan_weights(*assembly.architecture, declared, files, init->from.path,
                   {init->strict, init->reinitialize});
      return 0;
    });
  int64_t num_parameters = 0;
  for (const auto& [component, specs] : declared)
    for (const ParameterSpec& spec : specs) num_parameters += spec.is_buffer ? 0 : spec.numel();
  return num_parameters;
}

}  // namespace triga
