// PluginFile: a plugin as a file, checked as far as that goes without running any of its code.
#pragma once

#include <filesystem>
#include <string>

namespace triga {

struct PluginFile {
  std::filesystem::path path;  // absolute
  std::string content_hash;    // 32 hexadecimal digits (XXH3, 128 bits) of the whole file

  /// Throws: PluginError that begins with the path and says why the file can not be a plugin of
  /// this Triga: missing, unreadable, no library, cut short, another machine's, no plugin, built
  /// with something else.
  static PluginFile inspect(const std::filesystem::path& path);
};

}  // namespace triga
