// experiment_reference: docs/experiment.md, from the same descriptions that read an experiment.
#include <c10/util/StringUtil.h>

#include "config/experiment.h"
#include "config/experiment_schema.h"
#include "config/kind_sections.h"
#include "config/schema_words.h"
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

/// A line for each key of a mapping, and for those below it, named from the mapping on.
void add_rows(const ConfigNode& mapping, const std::string& prefix, std::string& page) {
  for (const auto& [key, schema] : mapping.find("properties")->entries) {
    const std::string name = prefix + key;
    const std::string default_value = default_in_words(schema);
    const std::string value = is_required(mapping, key) ? "**required**"
                              : default_value.empty()   ? ""
                                                        : c10::str("`", default_value, "`");
    page += c10::str("| `", name, "` | ", type_in_words(schema), " | ", value, " | ",
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
