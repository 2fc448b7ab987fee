// The registration: the plugin's name (that of its file) and version, and its kind.
#include "triga/plugin.h"

#include "momentum.h"

TRIGA_PLUGIN(my_plugin, "0.1.0") {
  using namespace triga::plugin_my_plugin;
  registry.optimizers.add<MomentumConfig>(
      "momentum", "Steps by a decaying sum of gradients (Polyak 1964).",
      [](const MomentumConfig& config, const triga::OptimizerContext&) {
        return std::make_unique<Momentum>(config);
      });
}
