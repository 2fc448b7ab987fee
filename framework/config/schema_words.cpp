#include "config/schema_words.h"

#include <c10/util/StringUtil.h>

#include <utility>
#include <vector>

#include "config/vocabulary.h"

namespace triga {
namespace {

using NodeKind = ConfigNode::Kind;

std::string code(const std::string& text) {
  return text.empty() ? "" : c10::str("`", text, "`");
}

std::string value_text(const ConfigNode& value) {
  if (value.kind == NodeKind::kSequence) {
    std::vector<std::string> items;
    for (const auto& item : value.items) items.push_back(value_text(item));
    return items.empty() ? "" : c10::str("[", join(items), "]");
  }
  return value.scalar;
}

std::string words_text(const ConfigNode& schema) {
  std::vector<std::string> words;
  for (const auto& word : schema.find("enum")->items)
    if (word.kind != NodeKind::kNull) words.push_back(code(word.scalar));
  return (words.size() > 1 ? "one of " : "") + join(words);
}

std::string limits_text(const ConfigNode& schema) {
  std::string text;
  for (const auto& [key, words] : {std::pair<const char*, const char*>{"minimum", "at least"},
                                   {"exclusiveMinimum", "above"},
                                   {"maximum", "at most"},
                                   {"exclusiveMaximum", "below"}})
    if (const ConfigNode* limit = schema.find(key))
      text += c10::str(", ", words, " ", limit->scalar);
  return text;
}

std::string type_text(const ConfigNode& schema) {
  if (const ConfigNode* either = schema.find("anyOf")) {  // a value, or a word that stands for none
    const std::string empty = words_text(either->items[1]);
    return (empty.empty() ? "" : empty + " or ") + type_text(either->items[0]);
  }
  if (schema.find("enum") != nullptr) return words_text(schema);
  const std::string type = scalar_at(schema, "type");
  if (type == "string") return "text";
  if (type == "boolean") return "`true` or `false`";
  if (type == "array") return "list of " + type_text(*schema.find("items"));
  if (type == "object") return "mapping";
  if (type.empty()) return "anything";
  return type + limits_text(schema);
}

}  // namespace

std::string type_in_words(const ConfigNode& schema) {
  const std::string unit = scalar_at(schema, "x-unit");
  return type_text(schema) + (unit.empty() ? "" : c10::str(" (", unit, ")"));
}

std::string default_in_words(const ConfigNode& schema) {
  const ConfigNode* value = schema.find("default");
  return value == nullptr ? "" : value_text(*value);
}

bool is_required(const ConfigNode& parent, const std::string& key) {
  if (const ConfigNode* required = parent.find("required"))
    for (const auto& name : required->items)
      if (name.scalar == key) return true;
  return false;
}

std::string scalar_at(const ConfigNode& schema, std::string_view key) {
  const ConfigNode* value = schema.find(key);
  return value == nullptr ? "" : value->scalar;
}

const ConfigNode* mapping_in(const ConfigNode& schema) {
  if (const ConfigNode* either = schema.find("anyOf")) return mapping_in(either->items[0]);
  if (const ConfigNode* items = schema.find("items")) return mapping_in(*items);
  return schema.find("properties") != nullptr ? &schema : nullptr;
}

bool is_list(const ConfigNode& schema) {
  if (const ConfigNode* either = schema.find("anyOf")) return is_list(either->items[0]);
  return schema.find("items") != nullptr;
}

}  // namespace triga
