#include "plugin_host/stamp.h"

#include <charconv>

#include "triga/plugin.h"

namespace triga {
namespace {

/// "C++20" for 202002L.
std::string standard_name(std::string_view value) {
  if (value == "201703L") return "C++17";
  if (value == "202002L") return "C++20";
  if (value == "202302L") return "C++23";
  return c10::str("__cplusplus = ", value);
}

int number(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string explain(const std::string& key, std::string_view theirs, std::string_view ours) {
  if (key == "abi")
    return c10::str(
        "it was built for plugin interface ", theirs, ", and this Triga has interface ", ours,
        number(theirs) < number(ours) ? ": build the plugin again with this Triga's headers"
                                      : ": use the newer Triga that it was built for, or build it "
                                        "again with this one's headers");
  if (key == "libtorch")
    return c10::str("it was built with LibTorch ", theirs, ", and this Triga with LibTorch ", ours,
                    ", whose C++ interfaces differ: build the plugin again with LibTorch ", ours);
  if (key == "cxx11_abi")
    return c10::str(
        "it was built with _GLIBCXX_USE_CXX11_ABI=", theirs, ", and this Triga with ", ours,
        ", so their std::string differs: build the plugin again with -D_GLIBCXX_USE_CXX11_ABI=",
        ours);
  if (key == "cxx_standard")
    return c10::str("it was built as ", standard_name(theirs), ", and this Triga as ",
                    standard_name(ours), ": build the plugin again as ", standard_name(ours));
  return c10::str("its stamp has ", key, "=", theirs, ", and this Triga's has ", ours,
                  ": build the plugin again with this Triga's headers");
}

}  // namespace

Stamp Stamp::parse(std::string_view text) {
  Stamp stamp;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (const auto equals = line.find('='); equals != std::string_view::npos)
      stamp.entries.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  return stamp;
}

Stamp Stamp::of_host() {
  return parse(TRIGA_STAMP);
}

std::string_view Stamp::operator[](std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return value;
  return {};
}

std::vector<std::string> mismatches(const Stamp& plugin, const Stamp& host) {
  std::vector<std::string> found;
  for (const auto& [key, ours] : host.entries) {
    const auto theirs = plugin[key];
    if (theirs.empty())
      found.push_back(c10::str("its stamp does not say ", key,
                               ": build the plugin again with this Triga's headers"));
    else if (theirs != ours)
      found.push_back(explain(key, theirs, ours));
  }
  return found;
}

}  // namespace triga
