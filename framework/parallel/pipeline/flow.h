// Flow: what goes from which stage to which, when a list of layers is cut into stages. A pure
// function of the layers' declared reads and writes. An activation goes straight from the stage
// that makes it to each that reads it, also over several stages.
#pragma once

#include <string>
#include <vector>

#include "triga/layer.h"

namespace triga {

/// Layer names are unique, and every activation that a layer reads was written by an earlier one.
/// Throws: PluginError that names the layer and the activation.
void check_layers(const std::vector<LayerSpec>& layers);

struct StageFlow {
  /// What goes to or comes from another stage.
  struct Edge {
    int stage = 0;
    std::vector<std::string> names;
  };
  std::vector<Edge> sources, readers;  // by stage, ascending

  std::vector<std::string> inputs;   // of the sources' edges
  std::vector<std::string> outputs;  // what readers read; of the last stage the model's outputs
};

/// Stage i runs layers [bounds[i], bounds[i + 1]). Requires: bounds from 0 to the number of layers,
/// rising; layers that check_layers() accepts.
std::vector<StageFlow> flow_between(const std::vector<LayerSpec>& layers,
                                    const std::vector<size_t>& bounds);

}  // namespace triga
