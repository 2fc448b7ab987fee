#include "parallel/pipeline/flow.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "triga/error.h"

namespace triga {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void add(std::vector<std::string>& names, const std::string& name) {
  if (!contains(names, name)) names.push_back(name);
}

void add(std::vector<StageFlow::Edge>& edges, int stage, const std::string& name) {
  auto edge = std::find_if(edges.begin(), edges.end(),
                           [&](const StageFlow::Edge& one) { return one.stage >= stage; });
  if (edge == edges.end() || edge->stage != stage)
    edge = edges.insert(edge, StageFlow::Edge{stage, {}});
  add(edge->names, name);
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

std::vector<StageFlow> flow_between(const std::vector<LayerSpec>& layers,
                                    const std::vector<size_t>& bounds) {
  TRIGA_CHECK(
      bounds.size() >= 2 && bounds.front() == 0 && bounds.back() == layers.size() &&
          std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end(),
      "stages of ", layers.size(), " layers");
  std::vector<StageFlow> flow(bounds.size() - 1);
  std::map<std::string, int> writer;  // the stage of the last layer that wrote it
  for (size_t stage = 0; stage < flow.size(); ++stage) {
    const auto own = static_cast<int>(stage);
    for (size_t i = bounds[stage]; i < bounds[stage + 1]; ++i) {
      for (const std::string& name : layers[i].reads) {
        const int source = writer.at(name);
        if (source == own) continue;
        add(flow[stage].sources, source, name);
        add(flow[static_cast<size_t>(source)].readers, own, name);
        add(flow[stage].inputs, name);
        add(flow[static_cast<size_t>(source)].outputs, name);
      }
      for (const std::string& name : layers[i].writes) writer[name] = own;
    }
  }
  for (const std::string& name : layers.back().writes) add(flow.back().outputs, name);
  return flow;
}

}  // namespace triga
