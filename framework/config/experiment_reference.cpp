// experiment_reference: docs/experiment.md, from the same descriptions that read an experiment.
#include <c10/util/StringUtil.h>

#include "config/experiment.h"
#include "config/experiment_schema.h"
#include "config/kind_sections.h"
#include "config/vocabulary.h"

namespace triga {
namespace {

using NodeKind = ConfigNode::Kind;

constexpr std::string_view kIntroduction =
    R"(# The experiment file

<!-- Generated: triga describe --markdown > docs/experiment.md -->

One YAML file says what is trained, on what and how; the number of ranks changes nothing in it. An unknown key is an
error. `--set train.max_steps=50` overrides a key. Paths are relative to the file; `${data}` is the folder of data
sets, `${env:NAME}` an environment variable, `$$` a plain `$`. YAML anchors work; merge keys (`<<`) and tags do not.
`triga check FILE` finds what is wrong; `triga describe PLUGIN KIND` shows the options of one kind.
)";

constexpr std::string_view kKindsIntroduction = R"(
## Kinds

The options of a kind stand beside `kind`, those of an architecture under `model.config`.
)";

std::string scalar_at(const ConfigNode& schema, std::string_view key) {
  const ConfigNode* value = schema.find(key);
  return value == nullptr ? "" : value->scalar;
}

std::string code(const std::string& text) {
  return text.empty() ? "" : c10::str("`", text, "`");
}

/// A default as YAML writes it; "" for nothing and for an empty text.
std::string value_text(const ConfigNode& value) {
  if (value.kind == NodeKind::kSequence) {
    std::vector<std::string> items;
    for (const auto& item : value.items) items.push_back(value_text(item));
    return items.empty() ? "" : c10::str("[", join(items), "]");
  }
  return value.scalar;
}

bool is_required(const ConfigNode& parent, const std::string& key) {
  if (const ConfigNode* required = parent.find("required"))
    for (const auto& name : required->items)
      if (name.scalar == key) return true;
  return false;
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

/// "integer, at least 1": what may stand at a key.
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

/// The mapping that a schema describes, or that the items of its list are; null when it is neither.
const ConfigNode* mapping_in(const ConfigNode& schema) {
  if (const ConfigNode* either = schema.find("anyOf")) return mapping_in(either->items[0]);
  if (const ConfigNode* items = schema.find("items")) return mapping_in(*items);
  return schema.find("properties") != nullptr ? &schema : nullptr;
}

bool is_list(const ConfigNode& schema) {
  if (const ConfigNode* either = schema.find("anyOf")) return is_list(either->items[0]);
  return schema.find("items") != nullptr;
}

/// A line for each key of a mapping, and for those below it, named from the mapping on.
void add_rows(const ConfigNode& mapping, const std::string& prefix, std::string& page) {
  for (const auto& [key, schema] : mapping.find("properties")->entries) {
    const std::string name = prefix + key;
    std::string type = type_text(schema);
    if (const auto unit = scalar_at(schema, "x-unit"); !unit.empty())
      type += c10::str(" (", unit, ")");
    const ConfigNode* default_value = schema.find("default");
    const std::string value = is_required(mapping, key)  ? "**required**"
                              : default_value == nullptr ? ""
                                                         : code(value_text(*default_value));
    page += c10::str("| `", name, "` | ", type, " | ", value, " | ",
                     scalar_at(schema, "description"), " |\n");
    if (const ConfigNode* inner = mapping_in(schema))
      add_rows(*inner, name + (is_list(schema) ? "[]." : "."), page);
  }
}

void add_table(const ConfigNode& mapping, std::string& page) {
  page += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
  add_rows(mapping, "", page);
}

void add_section(const std::string& key, const ConfigNode& schema, bool required,
                 std::string& page) {
  page += c10::str("\n## ", key, "\n\n", scalar_at(schema, "description"),
                   required ? " Required.\n" : "\n");
  if (const ConfigNode* mapping = mapping_in(schema)) add_table(*mapping, page);
}

void add_kind(const KindSection& section, const KindView& kind, std::string& page) {
  page += c10::str("\n### ", section.sort, " `", kind.name, "`",
                   kind.plugin.empty() ? "" : c10::str(" of plugin `", kind.plugin, "`"), "\n\n",
                   kind.help, "\n");
  const ConfigNode schema = kind.schema();
  if (schema.find("properties")->entries.empty())
    page += "\nNo options.\n";
  else
    add_table(schema, page);
}

}  // namespace

std::string experiment_reference(const Registry& registry) {
  std::string page(kIntroduction);
  const ConfigNode schema = config_schema<Experiment>();
  for (const auto& [key, section] : schema.find("properties")->entries)
    add_section(key, section, is_required(schema, key), page);
  page += kKindsIntroduction;
  std::string last_sort;  // data.train, data.validation and data.test name the same sort
  for (const KindSection& section : kind_sections(registry)) {
    if (section.sort == last_sort) continue;
    last_sort = section.sort;
    for (const KindView& kind : section.kinds) add_kind(section, kind, page);
  }
  return page;
}

}  // namespace triga
