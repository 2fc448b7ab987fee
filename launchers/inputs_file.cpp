#include "launchers/inputs_file.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "config/yaml.h"

namespace triga {
namespace {

using Json = nlohmann::ordered_json;

/// As the same value read from an experiment: a text is one whatever it looks like.
ConfigNode node_of(const Json& value, const std::string& file, int depth) {
  ConfigNode node;
  if (depth > YamlLimits::kDepth)
    throw ConfigError(
        c10::str(file, ": more than ", YamlLimits::kDepth, " lists and objects inside each other"));
  if (value.is_object()) {
    node = ConfigNode::make_mapping();
    for (const auto& [key, inner] : value.items()) node.add(key, node_of(inner, file, depth + 1));
  } else if (value.is_array()) {
    node = ConfigNode::make_sequence();
    for (const Json& inner : value) node.items.push_back(node_of(inner, file, depth + 1));
  } else if (value.is_string()) {
    node = ConfigNode::make_scalar(value.get<std::string>(), /*quoted=*/true);
  } else if (!value.is_null()) {
    node = ConfigNode::make_scalar(value.dump());
  }
  node.file = file;
  return node;
}

}  // namespace

ConfigNode parse_inputs(std::string_view line, const std::string& place) {
  const Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object())
    throw ConfigError(c10::str(place,
                               ": is no JSON object; expected the inputs of one generation "
                               "in one line, such as {\"prompt\": \"To be\", \"seed\": 1}"));
  ConfigNode inputs = node_of(value, place, 1);
  set_paths(inputs, "");
  return inputs;
}

std::vector<ConfigNode> read_inputs_file(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) throw DataError("cannot read --inputs " + file);
  std::vector<ConfigNode> inputs;
  int line_number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") != std::string::npos)
      inputs.push_back(parse_inputs(line, c10::str(file, ":", line_number)));
  }
  return inputs;
}

ConfigNode inputs_of(const std::vector<std::string>& assignments) {
  ConfigNode inputs = ConfigNode::make_mapping();
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
      throw ConfigError(fmt::format(
          "--input {}: expected KEY=VALUE, such as --input prompt='To be'", assignment));
    // A text input is taken as it stands: quotes, colons and line breaks mean themselves. Whether
    // the text is a number is decided by the sampler's description, so only text that reads as a
    // plain number or word is left unquoted.
    const std::string key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
    const bool is_plain =
        !value.empty() && value.find_first_not_of("0123456789.eE+-") == std::string::npos;
    ConfigNode node =
        ConfigNode::make_scalar(value, /*quoted=*/!is_plain && value != "true" && value != "false");
    node.file = "--input " + key;
    node.path = key;
    inputs.add(key, node);
  }
  return inputs;
}

}  // namespace triga
