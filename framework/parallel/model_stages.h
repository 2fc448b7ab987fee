// ModelStages: the part of a model that a rank of a pipeline has, and how the whole is cut.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/stage.h"
#include "parameters/parameter_store.h"
#include "triga/architecture.h"

namespace triga {

/// As many layers in each of so many stages as can be. Throws: ConfigError when there are fewer
/// layers.
std::vector<size_t> uniform_bounds(size_t num_layers, size_t num_stages);

class ModelStages {
 public:
  /// Builds the layers of the stages that are `rank`'s. Stage i has layers [bounds[i], bounds[i +
  /// 1]). `loss` must outlive it. Throws: PluginError for layers that do not fit together.
  ModelStages(const Architecture& architecture, const Loss& loss, std::vector<size_t> bounds,
              std::vector<int> rank_of_stage, int rank);

  const std::vector<LayerSpec>& layers() const { return specs_; }
  const std::vector<StageFlow>& flow() const { return flow_; }
  const std::vector<int>& rank_of_stage() const { return rank_of_stage_; }
  /// This rank's, by number.
  const std::map<int, std::unique_ptr<Stage>>& stages() const { return stages_; }
  bool has_last_stage() const { return stages_.contains(static_cast<int>(flow_.size()) - 1); }
  int rank_of_last_stage() const { return rank_of_stage_.back(); }

  /// For the parameter store.
  std::vector<ParameterStore::OwnedLayer> owned_layers() const;
  /// Stages that have a parameter, by name, where these are several.
  const std::map<std::string, std::vector<int>>& sharing() const { return sharing_; }
  /// Is this rank the first that has it: the one that counts it and writes it into a checkpoint?
  bool is_first_owner(const std::string& parameter) const;
  /// Ranks that have it, ascending.
  std::vector<int> ranks_of(const std::vector<int>& stages) const;

 private:
  void find_sharing();

  std::vector<LayerSpec> specs_;
  std::vector<size_t> bounds_;
  std::vector<StageFlow> flow_;
  std::vector<int> rank_of_stage_;
  int rank_;
  std::map<int, std::unique_ptr<Stage>> stages_;
  std::map<std::string, std::vector<int>> sharing_;
};

}  // namespace triga
