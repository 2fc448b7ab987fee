// The operating system's files. Each call is checked, continued after a signal, and reported with
// its path.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/descriptor.h"
#include "base/direct_file.h"
#include "base/files.h"

namespace triga {
namespace {

class PosixWritableFile : public WritableFile {
 public:
  explicit PosixWritableFile(const Path& path)
      : path_(path), file_(path, O_WRONLY | O_CREAT | O_TRUNC, "create") {}

  void append(const void* data, size_t size) override {
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      const auto written =
          retry([&] { return ::write(file_.get(), next, std::min(size, kMaxTransferBytes)); });
      if (written < 0) throw FileError("write", path_, errno);
      next += written;
      size -= static_cast<size_t>(written);
    }
  }
  void sync() override {
    if (retry([&] { return ::fsync(file_.get()); }) != 0) throw FileError("sync", path_, errno);
  }
  void close() override {
    if (!file_.close()) throw FileError("close", path_, errno);
  }

 private:
  Path path_;
  Descriptor file_;
};

class PosixReadableFile : public ReadableFile {
 public:
  explicit PosixReadableFile(const Path& path) : path_(path), file_(path, O_RDONLY, "open") {
    struct stat status;
    if (::fstat(file_.get(), &status) != 0) throw FileError("open", path, errno);
    if (S_ISDIR(status.st_mode)) throw FileError("open", path, EISDIR);
    size_ = static_cast<uint64_t>(status.st_size);
  }

  uint64_t size() const override { return size_; }

  void read(uint64_t offset, void* data, size_t size) const override {
    char* next = static_cast<char*>(data);
    while (size > 0) {
      const auto count = retry([&] {
        return ::pread(file_.get(), next, std::min(size, kMaxTransferBytes),
                       static_cast<off_t>(offset));
      });
      if (count < 0) throw FileError("read", path_, errno);
      if (count == 0) throw FileError("read past the end of", path_, ENODATA);
      next += count;
      offset += static_cast<uint64_t>(count);
      size -= static_cast<size_t>(count);
    }
  }

 private:
  Path path_;
  Descriptor file_;
  uint64_t size_ = 0;
};

class PosixFileLock : public FileLock {
 public:
  explicit PosixFileLock(std::unique_ptr<Descriptor> file) : file_(std::move(file)) {}

 private:
  std::unique_ptr<Descriptor> file_;  // closing it gives the lock up
};

class PosixFileSystem : public FileSystem {
 public:
  std::unique_ptr<WritableFile> create(const Path& path) override {
    return std::make_unique<PosixWritableFile>(path);
  }
  std::unique_ptr<WritableFile> create_large(const Path& path) override {
    auto file = create_direct(path);
    return file ? std::move(file) : create(path);
  }
  std::unique_ptr<ReadableFile> open(const Path& path) override {
    return std::make_unique<PosixReadableFile>(path);
  }

  std::optional<FileKind> kind(const Path& path) override {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      throw FileError("look at", path, errno);
    }
    if (S_ISREG(status.st_mode)) return FileKind::kFile;
    if (S_ISDIR(status.st_mode)) return FileKind::kDirectory;
    if (S_ISLNK(status.st_mode)) return FileKind::kLink;
    return FileKind::kOther;
  }

  uint64_t size(const Path& path) override {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) throw FileError("look at", path, errno);
    return static_cast<uint64_t>(status.st_size);
  }

  std::vector<std::string> list(const Path& path) override {
    std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory) throw FileError("list", path, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    if (errno != 0) throw FileError("list", path, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string read_link(const Path& path) override {
    std::string target(4096, '\0');  // PATH_MAX of Linux
    const auto length = ::readlink(path.c_str(), target.data(), target.size());
    if (length < 0) throw FileError("read the link", path, errno);
    target.resize(static_cast<size_t>(length));
    return target;
  }

  uint64_t free_space(const Path& path) override {
    struct statvfs status;
    if (retry([&] { return ::statvfs(path.c_str(), &status); }) != 0)
      throw FileError("ask for the free space of", path, errno);
    return uint64_t{status.f_bavail} * status.f_frsize;
  }

  void rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      throw FileError("rename to " + to.filename().string(), from, errno);
  }
  void remove_file(const Path& path) override {
    if (::unlink(path.c_str()) != 0) throw FileError("remove", path, errno);
  }
  void remove_directory(const Path& path) override {
    if (::rmdir(path.c_str()) != 0) throw FileError("remove", path, errno);
  }
  void make_directory(const Path& path) override {
    if (::mkdir(path.c_str(), 0777) == 0) return;
    const int code = errno;
    if (code == EEXIST && kind(path) == FileKind::kDirectory) return;
    throw FileError("make the directory", path, code);
  }
  void make_link(const std::string& target, const Path& path) override {
    if (::symlink(target.c_str(), path.c_str()) != 0) throw FileError("make the link", path, errno);
  }
  void sync_directory(const Path& path) override {
    Descriptor directory(path, O_RDONLY | O_DIRECTORY, "sync");
    if (retry([&] { return ::fsync(directory.get()); }) != 0) throw FileError("sync", path, errno);
  }

  std::unique_ptr<FileLock> try_lock(const Path& path) override {
    auto file = std::make_unique<Descriptor>(path, O_RDWR | O_CREAT, "lock");
    if (retry([&] { return ::flock(file->get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return nullptr;
      throw FileError("lock", path, errno);
    }
    return std::make_unique<PosixFileLock>(std::move(file));
  }
};

}  // namespace

FileSystem& posix_files() {
  static PosixFileSystem files;  // it has no state
  return files;
}

}  // namespace triga
