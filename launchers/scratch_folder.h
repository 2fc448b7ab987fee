// ScratchFolder: a folder for what a command writes on its way, removed with all in it.
#pragma once

#include <filesystem>
#include <string>

namespace triga {

class ScratchFolder {
 public:
  /// `purpose`, host and process name it, for several hosts may share `parent`. Folders of that
  /// purpose whose process on this host crashed are removed. Throws: IoError.
  ScratchFolder(const std::filesystem::path& parent, const std::string& purpose);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// A new one in it.
  std::filesystem::path make();

 private:
  std::filesystem::path path_;
  int num_made_ = 0;
};

}  // namespace triga
