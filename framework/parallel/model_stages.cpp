#include "parallel/model_stages.h"

#include <algorithm>
#include <set>

#include "parameters/declarations.h"
#include "triga/error.h"

namespace triga {

std::vector<size_t> uniform_bounds(size_t num_layers, size_t num_stages) {
  if (num_layers < num_stages)
    throw ConfigError(c10::str("the model has ", num_layers, " layers, which cannot be ",
                               num_stages, " pipeline stages"));
  std::vector<size_t> bounds;
  for (size_t i = 0; i <= num_stages; ++i) bounds.push_back(i * num_layers / num_stages);
  return bounds;
}

ModelStages::ModelStages(const Architecture& architecture, const Loss& loss,
                         std::vector<size_t> bounds, std::vector<int> rank_of_stage, int rank)
    : specs_(layers_of(architecture)),
      bounds_(std::move(bounds)),
      rank_of_stage_(std::move(rank_of_stage)),
      rank_(rank) {
  check_layers(specs_);
  flow_ = flow_between(specs_, bounds_);
  TRIGA_CHECK(flow_.size() == rank_of_stage_.size(), flow_.size(), " stages on ranks of ",
              rank_of_stage_.size());
  for (size_t i = 0; i < flow_.size(); ++i)
    if (rank_of_stage_[i] == rank)
      stages_[static_cast<int>(i)] =
          std::make_unique<Stage>(specs_, bounds_[i], bounds_[i + 1], flow_[i], loss);
  if (flow_.size() > 1) find_sharing();
}

// Layers declare their parameters without allocating, so those of other stages can be asked too.
void ModelStages::find_sharing() {
  std::map<std::string, std::set<int>> stages_of;
  std::map<std::string, std::pair<ParameterSpec, size_t>> first;  // and the layer that declares it
  for (size_t stage = 0; stage < flow_.size(); ++stage)
    for (size_t i = bounds_[stage]; i < bounds_[stage + 1]; ++i) {
      const std::unique_ptr<Layer> layer = specs_[i].build();
      for (const Parameter& parameter : layer->parameters()) {
        ParameterSpec spec = parameter.spec();
        spec.trainable = spec.trainable && !specs_[i].frozen;
        stages_of[spec.name].insert(static_cast<int>(stage));
        const auto [found, is_new] = first.try_emplace(spec.name, spec, i);
        const auto& [other, layer_of_other] = found->second;
        if (!is_new && (other.shape != spec.shape || other.trainable != spec.trainable))
          throw PluginError(
              c10::str("layers '", specs_[layer_of_other].name, "' and '", specs_[i].name,
                       "' share parameter '", spec.name,
                       "' and do not agree on its shape, or on whether it is trained"));
      }
    }
  for (const auto& [name, stages] : stages_of)
    if (stages.size() > 1) sharing_[name].assign(stages.begin(), stages.end());
}

std::vector<ParameterStore::OwnedLayer> ModelStages::owned_layers() const {
  std::vector<ParameterStore::OwnedLayer> owned;
  for (const auto& [number, stage] : stages_)
    for (const Stage::BuiltLayer& built : stage->layers())
      owned.push_back({built.spec, built.layer.get(), number});
  return owned;
}

bool ModelStages::is_first_owner(const std::string& parameter) const {
  const auto shared = sharing_.find(parameter);
  return shared == sharing_.end() || ranks_of(shared->second).front() == rank_;
}

std::vector<int> ModelStages::ranks_of(const std::vector<int>& stages) const {
  std::set<int> ranks;
  for (const int stage : stages) ranks.insert(rank_of_stage_[static_cast<size_t>(stage)]);
  return {ranks.begin(), ranks.end()};
}

}  // namespace triga
