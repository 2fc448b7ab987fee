#include "config/kind_sections.h"

#include <filesystem>
#include <utility>

#include "config/experiment.h"

namespace triga {
namespace {

template <class Product, class Context>
std::vector<KindView> views(const Catalog<Product, Context>& catalog) {
  std::vector<KindView> kinds;
  for (const auto& kind : catalog.kinds())
    kinds.push_back({kind.plugin, kind.name, kind.help, kind.resolve, kind.schema});
  return kinds;
}

}  // namespace

std::vector<KindSection> kind_sections(const Registry& registry) {
  const auto datasets = views(registry.datasets);
  return {
      {"model", "config", "architecture", "", views(registry.architectures)},
      {"data.train", "", "dataset", "", datasets},
      {"data.validation", "", "dataset", "", datasets},
      {"data.test", "", "dataset", "", datasets},
      {"data.tokenizer", "", "tokenizer", "", views(registry.tokenizers)},
      {"optimizer", "", "optimizer", OptimizerConfig().kind, views(registry.optimizers)},
      {"learning_rate_schedule", "", "learning-rate schedule", LearningRateScheduleConfig().kind,
       views(registry.learning_rate_schedules)},
  };
}

std::string registered_name(const std::string& plugin) {
  return plugin.find('/') == plugin.npos ? plugin : std::filesystem::path(plugin).stem().string();
}

const ConfigNode* find_path(const ConfigNode& node, std::string_view path) {
  const auto dot = path.find('.');
  const ConfigNode* value = node.find(path.substr(0, dot));
  if (value == nullptr || dot == path.npos) return value;
  return find_path(*value, path.substr(dot + 1));
}

ConfigNode* find_path(ConfigNode& node, std::string_view path) {
  return const_cast<ConfigNode*>(
      find_path(std::as_const(node), path));  // NOLINT: of a mutable node
}

ConfigNode& section_schema(ConfigNode& schema, std::string_view path) {
  const auto dot = path.find('.');
  ConfigNode* part = find_path(*find_path(schema, "properties"), path.substr(0, dot));
  TRIGA_CHECK(part != nullptr, "no section ", path);
  if (ConfigNode* either = find_path(*part, "anyOf")) part = &either->items[0];  // or nothing
  return dot == path.npos ? *part : section_schema(*part, path.substr(dot + 1));
}

}  // namespace triga
