#include "parameters/declarations.h"

#include <algorithm>
#include <memory>
#include <regex>
#include <utility>

#include "base/plugin_call.h"
#include "triga/error.h"

namespace triga {

void detail::throw_not_declared() {
  throw Error(
      "a parameter is used that was never declared. Declare it in the layer's constructor, for "
      "example: weight_ = parameter(\"blocks.3.weight\", {out, in}, Init::normal(0.02))");
}

std::vector<LayerSpec> layers_of(const Architecture& architecture) {
  const PluginCode code = code_of("architecture", architecture);
  std::vector<LayerSpec> layers =
      PluginCall("layers", code).run([&] { return architecture.layers(); });
  for (LayerSpec& layer : layers) {
    const PluginCode building{code.plugin, c10::str("layer '", layer.name, "'")};
    layer.build = [building, build = std::move(layer.build)] {
      return PluginCall("build", building).run(build);
    };
  }
  return layers;
}

std::vector<std::vector<Declaration>> declarations_of(const std::vector<LayerSpec>& layers,
                                                      const std::vector<GroupRule>& rules) {
  std::vector<std::regex> frozen;
  for (const GroupRule& rule : rules)
    if (rule.frozen) frozen.emplace_back(rule.match);
  std::vector<std::vector<Declaration>> declarations;
  for (const LayerSpec& layer : layers) {
    std::vector<Declaration>& of_layer = declarations.emplace_back();
    const std::unique_ptr<Layer> built = layer.build();
    for (const Parameter& parameter : built->parameters()) {
      const ParameterSpec& spec = parameter.spec();
      const bool is_frozen =
          layer.frozen || std::any_of(frozen.begin(), frozen.end(), [&](const std::regex& pattern) {
            return !spec.is_buffer && std::regex_search(spec.name, pattern);
          });
      of_layer.push_back({spec, layer.component, spec.trainable && !is_frozen});
    }
  }
  return declarations;
}

}  // namespace triga
