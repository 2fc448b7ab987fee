#include "parallel/pipeline/partition.h"

#include <algorithm>
#include <set>

#include "triga/error.h"

namespace triga {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void check_layers(const std::vector<LayerSpec>& layers) {
  if (layers.empty()) throw PluginError("the architecture has no layers");
  std::set<std::string> layer_names, written;
  for (const LayerSpec& layer : layers) {
    if (!layer_names.insert(layer.name).second)
      throw PluginError(
          c10::str("two layers are named '", layer.name, "'; a name keys the layer's randomness"));
    for (const std::string& name : layer.reads)
      if (!written.contains(name))
        throw PluginError(
            c10::str("layer '", layer.name, "' reads '", name, "', which no earlier layer writes"));
    written.insert(layer.writes.begin(), layer.writes.end());
  }
}

std::vector<std::string> boundary(const std::vector<LayerSpec>& layers, size_t cut) {
  if (cut == layers.size()) return layers.back().writes;
  std::vector<std::string> written, passing;
  for (size_t i = 0; i < cut; ++i)
    for (const std::string& name : layers[i].writes)
      if (!contains(written, name)) written.push_back(name);
  for (const std::string& name : written) {
    for (size_t i = cut; i < layers.size(); ++i) {
      if (contains(layers[i].reads, name)) {
        passing.push_back(name);
        break;
      }
      if (contains(layers[i].writes, name))
        break;  // written anew before anyone reads the old value
    }
  }
  return passing;
}

}  // namespace triga
