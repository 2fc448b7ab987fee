// The sections of an experiment that name a kind, and the kinds that each may name: what resolving
// and the JSON Schema have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "triga/plugin.h"

namespace triga {

/// A kind of any sort, without what it creates.
struct KindView {
  std::string plugin, name, help;
  std::function<ConfigNode(const ConfigNode& options, const ConfigScope& scope)> resolve;
  std::function<ConfigNode()> schema;
};

struct KindSection {
  std::string path;          // "data.train"; "eval.metrics[]": each item of a list
  std::string options_key;   // the key that holds the kind's options; "": they stand beside `kind`
  std::string sort;          // for messages: "dataset"
  std::string default_kind;  // "": `kind` is required
  std::vector<KindView> kinds;
};

/// In the order of an experiment file.
std::vector<KindSection> kind_sections(const Registry& registry);

/// The same for one experiment: in place of a list's section one for each item, "eval.metrics[0]".
std::vector<KindSection> kind_sections(const Registry& registry, const ConfigNode& experiment);

/// The name that a plugin registers under, which an experiment may also give as the path of its
/// file.
std::string registered_name(const std::string& plugin);

/// The value at "a.b.c" in mappings, at "a.b[0].c" in a list; null when there is none.
ConfigNode* find_path(ConfigNode& node, std::string_view path);
const ConfigNode* find_path(const ConfigNode& node, std::string_view path);

/// The part of an experiment's schema that describes the mapping at `path`, which may be an item of
/// a list.
ConfigNode& section_schema(ConfigNode& schema, std::string_view path);

}  // namespace triga
