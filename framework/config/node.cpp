// ConfigNode, and the places in messages.
#include <c10/util/StringUtil.h>

#include "triga/config.h"

namespace triga {
namespace {

std::string place(const ConfigNode& node, int line, const std::string& path) {
  std::string text = node.file;
  if (line > 0) text += ":" + std::to_string(line);
  if (!text.empty() && !path.empty()) text += ": ";
  return text + path;
}

}  // namespace

const ConfigNode* ConfigNode::find(std::string_view key) const {
  for (const auto& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

std::string ConfigNode::where() const { return place(*this, key_line > 0 ? key_line : line, path); }

std::string ConfigNode::where(std::string_view key) const {
  if (const ConfigNode* value = find(key)) return value->where();
  const auto full_path = path.empty() ? std::string(key) : path + "." + std::string(key);
  return place(*this, key_line > 0 ? key_line : line, full_path);
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
  return ConfigError(c10::str(where, where.empty() ? "" : ": ", what), place);
}

}  // namespace triga
