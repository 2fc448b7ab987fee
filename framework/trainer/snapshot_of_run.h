// Between the model in memory and a checkpoint: takes a snapshot of a strategy, and puts a
// checkpoint back into one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/initialize.h"
#include "checkpoint/reader.h"
#include "checkpoint/snapshot.h"
#include "data/batch_plan.h"
#include "parallel/strategy.h"
#include "triga/architecture.h"

namespace triga {

/// Weights, optimizer state and the architecture's files. The tensors are copied into `buffers`;
/// without (null) they are views of the live ones: write them before the next update. Collective.
Snapshot take_snapshot(Strategy& strategy, const Architecture& architecture,
                       HostBuffers* buffers = nullptr);

/// Weights and optimizer state, to the bit, whatever layout wrote them. Throws: CheckpointError
/// that names the tensor. `progress`, if not null, moves with each tensor.
void restore(Strategy& strategy, const Architecture& architecture, const Checkpoint& checkpoint,
             Progress* progress = nullptr);

/// What layers of this rank remember of its streams: those of `microbatches` of a step. Nothing is
/// stored where an epoch begins or the model carries no state. Throws: CheckpointError.
void restore_sequence_state(Strategy& strategy, const Checkpoint& checkpoint, Share microbatches);

/// How weights come from a model directory of another library or a checkpoint: `model.init`.
struct WeightsOptions {
  bool strict = true;
  std::vector<std::string> reinitialize;  // regular expressions, searched in parameter names
};

using SpecsByComponent = std::map<std::string, std::vector<ParameterSpec>>;

/// Which tensor of which files each parameter of a component gets.
struct WeightsPlan {
  TensorFiles tensors;
  InitPlan plan;
};

/// Every parameter and buffer that layers declare once, by component.
SpecsByComponent specs_by_component(const std::vector<LayerSpec>& layers);

/// Reads headers, no tensor. `parameters`: of the whole model. Throws: CheckpointError, ConfigError
/// when the directory does not fit the model.
std::vector<WeightsPlan> plan_weights(const Architecture& architecture,
                                      const SpecsByComponent& parameters, FileSystem& files,
                                      const Path& directory, const WeightsOptions& options);

/// Weights only, for evaluation, generation and `model.init`: what this rank has of them. Parameters
/// that are not read keep their values. Returns a line for a person. Throws: as plan_weights.
std::string load_weights(Strategy& strategy, const Architecture& architecture, FileSystem& files,
                         const Path& directory, const WeightsOptions& options);

}  // namespace triga
