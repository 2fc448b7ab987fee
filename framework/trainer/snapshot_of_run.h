// Between the model in memory and a checkpoint: takes a snapshot of a strategy, and puts a
// checkpoint back into one.
#pragma once

#include <map>
#include <string>

#include "checkpoint/reader.h"
#include "checkpoint/snapshot.h"
#include "parallel/strategy.h"
#include "triga/architecture.h"
#include "triga/tokenizer.h"

namespace triga {

/// Weights, optimizer state and model files. The tensors are views of the live ones: write them
/// before the next update. `tokenizer`: may be null.
Snapshot take_snapshot(Strategy& strategy, const Architecture& architecture,
                       const Tokenizer* tokenizer);

/// Weights and optimizer state, to the bit, whatever layout wrote them. Throws: CheckpointError
/// that names the tensor.
void restore(Strategy& strategy, const Architecture& architecture, const Checkpoint& checkpoint);

/// Weights only, for evaluation and generation, from a checkpoint or a model directory of another
/// library. `strict` and `reinitialize` as in `model.init`. Parameters that are not read keep their
/// values. Returns a line for a person. Throws: CheckpointError, ConfigError.
struct WeightsOptions {
  bool strict = true;
  std::vector<std::string> reinitialize;  // regular expressions, searched in parameter names
};
std::string load_weights(Strategy& strategy, const Architecture& architecture, FileSystem& files,
                         const Path& directory, const WeightsOptions& options);

}  // namespace triga
