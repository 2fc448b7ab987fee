#include "base/direct_file.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <future>
#include <utility>

#include "base/descriptor.h"
#include "base/run_beside.h"

namespace triga {
namespace {

// Bytes that do not lie as the disk takes them are copied in here first. Two such buffers take
// turns: one is filled while the other is written.
constexpr size_t kStagingBytes = size_t{2} << 20;

struct Free {
  void operator()(char* memory) const { std::free(memory); }
};

bool is_aligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % kDirectAlignment == 0;
}

class DirectFile final : public WritableFile {
 public:
  DirectFile(Path path, Descriptor file) : path_(std::move(path)), file_(std::move(file)) {}

  void append(const void* data, size_t size) override {
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      size_t part = size - size % kDirectAlignment;
      if (part > 0 && is_aligned(next) && num_staged_ % kDirectAlignment == 0) {
        write_staged();
        write(next, part);
      } else {
        part = std::min(size, kStagingBytes - num_staged_);
        stage(next, part);
      }
      next += part;
      size -= part;
    }
  }

  void sync() override {
    write_staged();
    if (retry([&] { return ::fsync(file_.get()); }) != 0) throw FileError("sync", path_, errno);
  }
  void close() override {
    write_staged();
    if (!file_.close()) throw FileError("close", path_, errno);
  }

 private:
  void stage(const char* data, size_t size) {
    if (!staging_) {
      staging_.reset(static_cast<char*>(std::aligned_alloc(kDirectAlignment, kStagingBytes)));
      TRIGA_CHECK(staging_ != nullptr, "no memory to write ", path_.string());
    }
    std::memcpy(staging_.get() + num_staged_, data, size);
    num_staged_ += size;
    if (num_staged_ < kStagingBytes) return;
    wait();
    std::swap(staging_, written_);
    num_staged_ = 0;
    writing_ = run_beside([this] { write(written_.get(), kStagingBytes); });
  }

  void wait() {
    if (writing_.valid()) writing_.get();
  }

  /// Whole pages go directly; what is left at the file's end, or before a sync(), does not, and
  /// neither does what follows it, which begins inside a page.
  void write_staged() {
    wait();
    const size_t whole = num_staged_ - num_staged_ % kDirectAlignment;
    if (whole > 0) write(staging_.get(), whole);
    if (whole < num_staged_) {
      leave_direct();
      write(staging_.get() + whole, num_staged_ - whole);
    }
    num_staged_ = 0;
  }

  void write(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t written =
          retry([&] { return ::write(file_.get(), data, std::min(size, kMaxTransferBytes)); });
      if (written < 0) {
        // The disk has larger blocks, or memory of a device cannot be handed to it.
        const bool is_unfit = errno == EINVAL || errno == EFAULT || errno == EOPNOTSUPP;
        if (!is_direct_ || !is_unfit) throw FileError("write", path_, errno);
        leave_direct();
        continue;
      }
      data += written;
      size -= static_cast<size_t>(written);
      if (static_cast<size_t>(written) % kDirectAlignment != 0) leave_direct();
    }
  }

  void leave_direct() {
    if (!is_direct_) return;
    const int flags = ::fcntl(file_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(file_.get(), F_SETFL, flags & ~O_DIRECT) != 0)
      throw FileError("write", path_, errno);
    is_direct_ = false;
  }

  Path path_;
  Descriptor file_;
  bool is_direct_ = true;
  std::unique_ptr<char, Free> staging_, written_;
  size_t num_staged_ = 0;
  std::future<void> writing_;  // of written_; the last member: it waits before the others go
};

bool gains_by_direct(const Path& folder) {
  struct statfs status;
  if (retry([&] { return ::statfs(folder.c_str(), &status); }) != 0) return false;
  return status.f_type == EXT4_SUPER_MAGIC || status.f_type == XFS_SUPER_MAGIC;
}

}  // namespace

std::unique_ptr<WritableFile> create_direct(const Path& path) {
  if (!gains_by_direct(path.parent_path().empty() ? "." : path.parent_path())) return nullptr;
  try {
    return std::make_unique<DirectFile>(
        path, Descriptor(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT, "create"));
  } catch (const FileError& error) {
    if (error.code() == EINVAL) return nullptr;
    throw;
  }
}

}  // namespace triga
