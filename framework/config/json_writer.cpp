// write_json: for schemas, and for whoever reads a configuration with other tools.
#include <nlohmann/json.hpp>

#include "config/scalar.h"
#include "config/yaml.h"

namespace triga {
namespace {

using Json = nlohmann::ordered_json;
using Kind = ConfigNode::Kind;

Json scalar_of(const ConfigNode& node) {
  if (node.quoted) return node.scalar;
  switch (scalar_type(node.scalar)) {
    case ScalarType::kNull:
      return nullptr;
    case ScalarType::kBool:
      return node.scalar[0] == 't' || node.scalar[0] == 'T';
    case ScalarType::kInteger:
      if (const auto integer = parse_integer(node.scalar)) return *integer;
      break;
    case ScalarType::kFloat:
      if (const auto number = parse_number(node.scalar)) return *number;
      break;
    case ScalarType::kString:
      break;
  }
  return node.scalar;
}

Json json_of(const ConfigNode& node) {
  if (node.kind == Kind::kNull) return nullptr;
  if (node.kind == Kind::kScalar) return scalar_of(node);
  if (node.kind == Kind::kSequence) {
    Json list = Json::array();
    for (const auto& item : node.items) list.push_back(json_of(item));
    return list;
  }
  Json object = Json::object();
  for (const auto& [key, value] : node.entries) object[key] = json_of(value);
  return object;
}

}  // namespace

std::string write_json(const ConfigNode& node) {
  return json_of(node).dump(2) + "\n";
}

}  // namespace triga
