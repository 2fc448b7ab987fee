#include "launchers/scratch_folder.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/files.h"
#include "comm/host.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

/// `prefix`: all of the name but the process.
void remove_abandoned(const fs::path& parent, const std::string& prefix) {
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    pid_t pid = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + prefix.size(), end, pid);
    const bool is_ours = read.ec == std::errc() && read.ptr == end && pid > 0;
    if (is_ours && ::kill(pid, 0) != 0 && errno == ESRCH) remove_all(posix_files(), entry.path());
  }
}

}  // namespace

ScratchFolder::ScratchFolder(const fs::path& parent, const std::string& purpose) {
  const std::string prefix = fmt::format("{}-{}-", purpose, host_name());
  path_ = parent / fmt::format("{}{}", prefix, ::getpid());
  remove_abandoned(parent, prefix);
  remove_all(posix_files(), path_);
  make_directories(posix_files(), path_);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path ScratchFolder::make() {
  const fs::path folder = path_ / std::to_string(num_made_++);
  make_directories(posix_files(), folder);
  return folder;
}

}  // namespace triga
