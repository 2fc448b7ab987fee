// AppendFile: a file that grows by whole records while others read it. Each append is one write at
// the end of the file.
#pragma once

#include <string>
#include <string_view>

namespace triga {

class AppendFile {
 public:
  /// Makes the file and its folders when they are not there. Throws: Error.
  explicit AppendFile(const std::string& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// A failure (the disk is full) is said in the log, once; the file ends before these bytes then.
  /// Requires: nobody else writes to the file.
  void append(std::string_view bytes);

 private:
  const std::string path_;
  int descriptor_;
  bool has_failed_ = false;
};

}  // namespace triga
