// The build tree's command as the tests of this folder see it.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "launchers/environment.h"

namespace triga {

inline const std::filesystem::path kSources = TRIGA_SOURCE_DIR;

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline CommandEnvironment test_environment() {
  CommandEnvironment environment = read_environment();
  environment.executable = TRIGA_COMMAND;  // opens plugins in a child first
  environment.prefix = environment.executable.parent_path().parent_path();
  environment.plugin_folders = {environment.prefix / "lib" / "triga" / "plugins"};
  environment.site_files = {};
  environment.cache_dir = environment.prefix / "test-cache";
  return environment;
}

}  // namespace triga
