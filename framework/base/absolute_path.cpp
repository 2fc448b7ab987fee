#include "base/absolute_path.h"

#include <system_error>

namespace triga {

namespace fs = std::filesystem;

fs::path absolute_path(const fs::path& path) {
  const fs::path whole = fs::absolute(path);
  fs::path walked;
  bool leaves_a_link = false;
  std::error_code error;  // what cannot be looked at is no link
  for (const fs::path& part : whole) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && fs::is_symlink(walked, error)) {
      const fs::path target = fs::canonical(walked, error);
      // One that points beside itself leads out to the same place: that stays as it was written.
      if (!error && !fs::equivalent(target.parent_path(), walked.parent_path(), error)) {
        walked = target;
        leaves_a_link = true;
      }
    }
    walked = part == ".." ? walked.parent_path() : walked / part;
  }
  return (leaves_a_link ? walked : whole).lexically_normal();
}

fs::path without_slash_at_end(fs::path path) {
  while (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  return path;
}

}  // namespace triga
