// What flows where when a list of layers is cut into stages. Pure functions of the layers' declared
// reads and writes.
#pragma once

#include <string>
#include <vector>

#include "triga/layer.h"

namespace triga {

/// Layer names are unique, and every activation that a layer reads was written by an earlier one.
/// Throws: PluginError that names the layer and the activation.
void check_layers(const std::vector<LayerSpec>& layers);

/// Activations that pass a cut before layer `cut`: written before it, read at it or after. In order
/// of writing. The last cut, cut = layers.size(), is passed by what the last layer writes: the
/// model's outputs.
std::vector<std::string> boundary(const std::vector<LayerSpec>& layers, size_t cut);

}  // namespace triga
