// ConfigNode, and the places in messages.
#include <c10/util/StringUtil.h>

#include "triga/config.h"

namespace triga {
const ConfigNode* ConfigNode::find(std::string_view key) const {
  for (const auto& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

std::string ConfigNode::where() const {
  const int place = key_line > 0 ? key_line : line;
  std::string text = file;
  if (place > 0) text += ":" + std::to_string(place);
  if (!text.empty() && !path.empty()) text += ": ";
  return text + path;
}

ConfigNode ConfigNode::place_of(std::string_view key) const {
  if (const ConfigNode* value = find(key)) return *value;
  if (const auto dot = key.find('.'); dot != key.npos)
    return place_of(key.substr(0, dot)).place_of(key.substr(dot + 1));
  ConfigNode missing = place();
  missing.path = path.empty() ? std::string(key) : path + "." + std::string(key);
  return missing;
}

ConfigNode ConfigNode::place() const {
  ConfigNode place;
  place.file = file;
  place.line = line;
  place.key_line = key_line;
  place.path = path;
  return place;
}

ConfigNode ConfigNode::make_scalar(std::string text, bool quoted) {
  ConfigNode node;
  node.kind = Kind::kScalar;
  node.scalar = std::move(text);
  node.quoted = quoted;
  return node;
}

ConfigNode ConfigNode::make_mapping() {
  ConfigNode node;
  node.kind = Kind::kMapping;
  return node;
}

ConfigNode ConfigNode::make_sequence() {
  ConfigNode node;
  node.kind = Kind::kSequence;
  return node;
}

void ConfigNode::add(std::string key, ConfigNode value) {
  TRIGA_CHECK(kind == Kind::kMapping && find(key) == nullptr, "key '", key, "' twice");
  entries.push_back({std::move(key), std::move(value)});
}

ConfigError config_error(const ConfigNode& node, std::string_view what, SourcePlace place) {
  const auto where = node.where();
  return ConfigError(c10::str(where, where.empty() ? "" : ": ", what), place,
                     node.key_line > 0 ? node.key_line : node.line);
}

}  // namespace triga
