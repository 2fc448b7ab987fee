// find_kind: what an experiment means by `{plugin: P, kind: K}`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "triga/plugin.h"

namespace triga {

namespace detail {
struct KindName {
  std::string plugin, kind;
};
[[noreturn]] void throw_unknown_kind(const std::string& sort, const std::string& plugin,
                                     const ConfigNode& kind, const std::vector<KindName>& known);
}  // namespace detail

/// `sort`: "architecture", for messages. `plugin`: "" for the core. `kind`: the node with the name.
/// Throws: ConfigError at that node that names the kinds there are, the nearest of them, and other
/// plugins with a kind of that name.
template <class Product, class Context>
const Kind<Product, Context>& find_kind(const Catalog<Product, Context>& catalog,
                                        const std::string& sort, const std::string& plugin,
                                        const ConfigNode& kind) {
  std::vector<detail::KindName> known;
  for (const auto& entry : catalog.kinds()) {
    if (entry.plugin == plugin && entry.name == kind.scalar) return entry;
    known.push_back({entry.plugin, entry.name});
  }
  detail::throw_unknown_kind(sort, plugin, kind, known);
}

}  // namespace triga
