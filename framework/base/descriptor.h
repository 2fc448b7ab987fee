// A file descriptor of the operating system, and its calls continued after signals.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"

namespace triga {

/// One read or write moves at most 2 GiB on Linux; less than that keeps a signal's delay short.
inline constexpr size_t kMaxTransferBytes = size_t{256} << 20;

/// The result of `call`, which is made again while a signal interrupts it.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  /// Throws: FileError, which says that `action` failed.
  Descriptor(const Path& path, int flags, const char* action)
      : fd_(retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); })) {
    if (fd_ < 0) throw FileError(action, path, errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  // Not retried: Linux frees the descriptor even when close is interrupted.
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0 || errno == EINTR;
  }

 private:
  int fd_;
};

}  // namespace triga
