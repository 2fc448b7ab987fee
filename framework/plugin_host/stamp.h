// Stamp: what a plugin was built with, as its ELF note says. A plugin whose stamp differs from the
// host's shares no C++ layout with it, so none of its code may run.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace triga {

struct Stamp {
  std::vector<std::pair<std::string, std::string>>
      entries;  // ("abi", "1"), ... in the order of the text

  /// Of `key=value` lines; lines of any other form are left out.
  static Stamp parse(std::string_view text);
  /// What libtriga itself was built with.
  static Stamp of_host();
  /// The value; "" when there is none.
  std::string_view operator[](std::string_view key) const;
};

/// One paragraph for each thing in which the plugin's stamp differs, with its cure; empty: it may
/// be loaded.
std::vector<std::string> mismatches(const Stamp& plugin, const Stamp& host);

}  // namespace triga
