#include "tests/unit/config/test_registry.h"

#include "config/load.h"
#include "data/core_kinds.h"
#include "optim/optimizers.h"
#include "optim/schedules.h"

namespace triga {
namespace {

struct ModelOptions {
  int64_t num_layers = 12, num_heads = 12, hidden_size = 768, context_length = 1024;
  double dropout = 0;
};

void describe(Fields& fields, ModelOptions& config) {
  fields.field("num_layers", config.num_layers).help("Blocks.").at_least(1).known_as({"n_layer"});
  fields.field("num_heads", config.num_heads).help("Heads.").at_least(1).known_as({"n_head"});
  fields.field("hidden_size", config.hidden_size).help("Width.").at_least(1).known_as({"n_embd"});
  fields.field("context_length", config.context_length).help("Length.").at_least(1);
  fields.field("dropout", config.dropout).help("Dropout.").at_least(0).below(1);
}

struct RecallOptions {
  int64_t k = 5;
};

void describe(Fields& fields, RecallOptions& config) {
  fields.field("k", config.k).help("Guesses.").at_least(1);
}

}  // namespace

Registry test_registry() {
  Registry registry;
  register_core_datasets(registry);
  register_core_tokenizers(registry);
  register_core_optimizers(registry);
  register_core_schedules(registry);
  registry.set_plugin("transformer");
  registry.architectures.add<ModelOptions>(
      "gpt2", "A model.", [](const ModelOptions&, const ArchitectureContext&) { return nullptr; });
  registry.metrics.add<RecallOptions>(
      "recall", "A metric.", [](const RecallOptions&, const MetricContext&) { return nullptr; });
  return registry;
}

ConfigNode test_experiment(const std::vector<std::string>& changes) {
  return load_config({TRIGA_SOURCE_DIR "/tests/unit/config/gpt2_shakespeare.yaml", changes, {}});
}

}  // namespace triga
