#include "metrics/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "triga/error.h"
#include "triga/log.h"

namespace triga {

AppendFile::AppendFile(const std::string& path) : path_(path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  descriptor_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw Error(c10::str("cannot open ", path, ": ", std::strerror(errno)));
}

AppendFile::~AppendFile() {
  close(descriptor_);
}

void AppendFile::append(std::string_view bytes) {
  struct stat before = {};
  const bool is_known = ::fstat(descriptor_, &before) == 0;
  const size_t whole = bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      if (!has_failed_)
        log_warning("metrics", "cannot write ", path_, ": ", std::strerror(errno),
                    "; the run goes on");
      has_failed_ = true;
      // Half a record would take the next one, which may find room, into its line.
      if (is_known && bytes.size() < whole && ::ftruncate(descriptor_, before.st_size) != 0)
        log_warning("metrics", "cannot take back half a record of ", path_, ": ",
                    std::strerror(errno));
      return;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace triga
