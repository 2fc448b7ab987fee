// The registration: the plugin's name (that of its file) and version, and its kind.
#include "triga/plugin.h"

#include "mean_rank.h"

TRIGA_PLUGIN(my_plugin, "0.1.0") {
  using namespace triga::plugin_my_plugin;
  registry.metrics.add<MeanRankConfig>(
      "mean_rank", "At which place of the model's guesses the right class stands, 1 at best.",
      [](const MeanRankConfig& config, const triga::MetricContext&) {
        return std::make_unique<MeanRank>(config);
      });
}
