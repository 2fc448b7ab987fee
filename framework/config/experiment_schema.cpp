#include "config/experiment_schema.h"

#include "config/experiment.h"
#include "config/kind_sections.h"

namespace triga {
namespace {

ConfigNode text(const std::string& value) {
  return ConfigNode::make_scalar(value, true);
}

ConfigNode mapping(std::string key, ConfigNode value) {
  auto node = ConfigNode::make_mapping();
  node.add(std::move(key), std::move(value));
  return node;
}

/// {"if": this kind is named, "then": its options}. Keys with a default need not be there.
ConfigNode kind_clause(const KindSection& section, const KindView& kind) {
  auto names = mapping("kind", mapping("const", text(kind.name)));
  names.add("plugin", mapping("const", text(kind.plugin)));
  auto required = ConfigNode::make_sequence();
  if (kind.name != section.default_kind) required.items.push_back(text("kind"));
  if (!kind.plugin.empty()) required.items.push_back(text("plugin"));
  auto condition = mapping("properties", std::move(names));
  condition.add("required", std::move(required));

  auto options = kind.schema();
  if (!section.options_key.empty())
    options = mapping("properties", mapping(section.options_key, std::move(options)));
  else  // the section itself says which keys there are, its own among them
    std::erase_if(options.entries,
                  [](const ConfigEntry& entry) { return entry.key == "additionalProperties"; });
  auto clause = mapping("if", std::move(condition));
  clause.add("then", std::move(options));
  return clause;
}

}  // namespace

ConfigNode experiment_schema(const Registry& registry) {
  auto schema = mapping("$schema", text("https://json-schema.org/draft/2020-12/schema"));
  schema.add("title", text("Triga experiment"));
  for (auto& entry : config_schema<Experiment>().entries)
    schema.add(entry.key, std::move(entry.value));
  for (const auto& section : kind_sections(registry)) {
    ConfigNode& part = section_schema(schema, section.path);
    auto clauses = ConfigNode::make_sequence();
    for (const auto& kind : section.kinds) clauses.items.push_back(kind_clause(section, kind));
    if (!clauses.items.empty()) part.add("allOf", std::move(clauses));
    if (section.options_key.empty())
      part.add("unevaluatedProperties", ConfigNode::make_scalar("false"));
  }
  return schema;
}

}  // namespace triga
