#include "config/kind_sections.h"

#include <charconv>
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

/// What `key` means in a mapping: a key, or "metrics[2]", the third item of its list.
const ConfigNode* find_step(const ConfigNode& node, std::string_view key) {
  const auto bracket = key.find('[');
  const ConfigNode* value = node.find(key.substr(0, bracket));
  if (value == nullptr || bracket == key.npos) return value;
  size_t index = value->items.size();
  std::from_chars(key.data() + bracket + 1, key.data() + key.size(), index);
  return index < value->items.size() ? &value->items[index] : nullptr;
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
      {"eval.metrics[]", "", "metric", "", views(registry.metrics)},
  };
}

std::vector<KindSection> kind_sections(const Registry& registry, const ConfigNode& experiment) {
  constexpr std::string_view kEach = "[]";
  std::vector<KindSection> sections;
  for (KindSection& section : kind_sections(registry)) {
    if (!section.path.ends_with(kEach)) {
      sections.push_back(std::move(section));
      continue;
    }
    const std::string list = section.path.substr(0, section.path.size() - kEach.size());
    const ConfigNode* value = find_path(experiment, list);
    for (size_t i = 0; value != nullptr && i < value->items.size(); ++i) {
      section.path = c10::str(list, "[", i, "]");
      sections.push_back(section);
    }
  }
  return sections;
}

std::string registered_name(const std::string& plugin) {
  return plugin.find('/') == plugin.npos ? plugin : std::filesystem::path(plugin).stem().string();
}

const ConfigNode* find_path(const ConfigNode& node, std::string_view path) {
  const auto dot = path.find('.');
  const ConfigNode* value = find_step(node, path.substr(0, dot));
  if (value == nullptr || dot == path.npos) return value;
  return find_path(*value, path.substr(dot + 1));
}

ConfigNode* find_path(ConfigNode& node, std::string_view path) {
  return const_cast<ConfigNode*>(
      find_path(std::as_const(node), path));  // NOLINT: of a mutable node
}

ConfigNode& section_schema(ConfigNode& schema, std::string_view path) {
  const auto dot = path.find('.');
  const std::string_view step = path.substr(0, dot);
  ConfigNode* part = find_path(*find_path(schema, "properties"), step.substr(0, step.find('[')));
  TRIGA_CHECK(part != nullptr, "no section ", path);
  if (step.find('[') != step.npos) part = find_path(*part, "items");
  if (ConfigNode* either = find_path(*part, "anyOf")) part = &either->items[0];  // or nothing
  return dot == path.npos ? *part : section_schema(*part, path.substr(dot + 1));
}

}  // namespace triga
