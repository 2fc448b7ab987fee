// PluginSearchPath: from a plugin's name to its file. A plugin `x` is the file x.so in one of a
// list of folders: the build or install tree's lib/triga/plugins, and what TRIGA_PLUGIN_PATH adds
// (the launcher makes the list).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace triga {

class PluginSearchPath {
 public:
  struct Found {
    std::string name;            // of the file, without .so
    std::filesystem::path path;  // absolute
  };

  /// `given`: a file that its name means, whatever lies in the folders.
  explicit PluginSearchPath(std::vector<std::filesystem::path> folders,
                            std::optional<Found> given = std::nullopt)
      : folders_(std::move(folders)), given_(std::move(given)) {}

  /// Every file that is named like a plugin, sorted by name; a name may occur in several folders.
  std::vector<Found> all() const;

  /// The file of a name, or of a path (what has a slash in it). The same file twice is found once.
  /// Throws: PluginError that lists what was searched and the nearest name; or names the two files
  /// that could be meant.
  std::filesystem::path find(const std::string& name_or_path) const;

 private:
  [[noreturn]] void throw_not_found(const std::string& name) const;

  std::vector<std::filesystem::path> folders_;
  std::optional<Found> given_;
};

}  // namespace triga
