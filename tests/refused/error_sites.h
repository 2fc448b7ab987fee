// ErrorSites: the places in the sources that refuse an experiment or a command line, found in their
// text.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "triga/error.h"

namespace triga {

/// A statement that makes a ConfigError of its own: `throw ConfigError(...)`, `throw
/// config_error(...)`, a rule of a description.
struct ErrorSite {
  std::string file;  // relative to the sources: "framework/config/field.cpp"
  int first_line = 0, last_line = 0;
  std::string text;

  bool contains(const SourcePlace& place) const;
};

/// Of all sources of framework/, launchers/ and plugins/.
std::vector<ErrorSite> find_error_sites(const std::filesystem::path& sources);

}  // namespace triga
