// apply_override: what `--set a.b[0].c=VALUE` does to an experiment.
#include <c10/util/StringUtil.h>

#include <charconv>
#include <variant>

#include "config/load.h"
#include "config/yaml.h"

namespace triga {
namespace {

using Kind = ConfigNode::Kind;
using Step = std::variant<std::string, size_t>;  // into a mapping, into a list

/// "a.b[0].c" -> a, b, 0, c; nothing when it is no such path.
std::optional<std::vector<Step>> parse_path(std::string_view path) {
  std::vector<Step> steps;
  size_t i = 0;
  while (i < path.size()) {
    if (path[i] == '[') {
      size_t index = 0;
      const auto end = path.find(']', i);
      if (steps.empty() || end == path.npos) return std::nullopt;
      const auto result = std::from_chars(path.data() + i + 1, path.data() + end, index);
      if (result.ec != std::errc() || result.ptr != path.data() + end) return std::nullopt;
      steps.emplace_back(index);
      i = end + 1;
      continue;
    }
    if (!steps.empty() && path[i++] != '.') return std::nullopt;
    const auto end = std::min(path.find_first_of(".[", i), path.size());
    if (end == i) return std::nullopt;
    steps.emplace_back(std::string(path.substr(i, end - i)));
    i = end;
  }
  if (steps.empty() || steps.size() > YamlLimits::kDepth) return std::nullopt;
  return steps;
}

std::string describe_node(const ConfigNode& node) {
  if (node.kind == Kind::kSequence) return c10::str("a list of ", node.items.size());
  return node.kind == Kind::kMapping ? "a mapping" : "'" + node.scalar + "'";
}

/// The value at a key, made when it is missing.
ConfigNode& enter_mapping(ConfigNode& node, const std::string& key, const std::string& name) {
  if (node.kind == Kind::kNull) node.kind = Kind::kMapping;
  if (node.kind != Kind::kMapping)
    throw ConfigError(c10::str(name, ": ", node.path, " is ", describe_node(node),
                               ", so it has no key '", key, "'"));
  for (auto& entry : node.entries)
    if (entry.key == key) return entry.value;
  ConfigNode value;
  value.file = name;
  set_paths(value, node.path.empty() ? key : node.path + "." + key);
  node.add(key, std::move(value));
  return node.entries.back().value;
}

ConfigNode& enter_sequence(ConfigNode& node, size_t index, const std::string& name) {
  if (node.kind != Kind::kSequence || index >= node.items.size())
    throw ConfigError(c10::str(name, ": ", node.path, " is ", describe_node(node),
                               ", so it has no item [", index, "] (the first is [0])"));
  return node.items[index];
}

}  // namespace

void apply_override(ConfigNode& root, const std::string& setting) {
  const auto name = "--set " + setting;
  const auto equals = setting.find('=');
  const auto steps = parse_path(std::string_view(setting).substr(0, equals));
  if (equals == setting.npos || !steps)
    throw ConfigError(c10::str(name,
                               ": expected KEY=VALUE, such as train.max_steps=50 or "
                               "optimizer.groups[0].weight_decay=0"));
  ConfigNode* node = &root;
  for (const auto& step : *steps)
    node = std::holds_alternative<size_t>(step)
               ? &enter_sequence(*node, std::get<size_t>(step), name)
               : &enter_mapping(*node, std::get<std::string>(step), name);
  *node = parse_yaml_value(std::string_view(setting).substr(equals + 1), name, node->path);
}

}  // namespace triga
