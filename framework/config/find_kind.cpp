#include "config/find_kind.h"

#include "config/vocabulary.h"

namespace triga::detail {

void throw_unknown_kind(const std::string& sort, const std::string& plugin, const ConfigNode& kind,
                        const std::vector<KindName>& known) {
  const auto owner =
      plugin.empty() ? std::string("Triga itself") : c10::str("plugin '", plugin, "'");
  std::vector<std::string> own;
  std::string elsewhere;
  for (const auto& name : known) {
    if (name.plugin == plugin) own.push_back(name.kind);
    if (name.plugin == plugin || name.kind != kind.scalar) continue;
    elsewhere += name.plugin.empty()
                     ? "; without `plugin` it is the one of Triga itself"
                     : c10::str("; did you mean the one of `plugin: ", name.plugin, "`?");
  }
  throw config_error(kind, own.empty() ? c10::str(owner, " has no ", sort, " at all", elsewhere)
                                       : c10::str(owner, " has no such ", sort, ": ",
                                                  unknown_word(kind.scalar, own), elsewhere));
}

}  // namespace triga::detail
