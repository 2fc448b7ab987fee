// Files: the one seam between Triga and the disk for everything that must survive a crash
// (checkpoints, status, caches). Code takes a FileSystem&; programs give it posix_files(), tests
// give it one that fails, fills up or loses power at a chosen operation. Reads use pread, not mmap:
// a file that shrinks or a disk that fails is an exception, not a SIGBUS.
//
// What survives a crash: bytes of a file after WritableFile::sync(); names in a directory (create,
// rename, remove, link) after sync_directory() of that directory. Nothing else is promised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "triga/error.h"

namespace triga {

using Path = std::filesystem::path;

/// A file operation that failed: "cannot write runs/a/status.json: No space left on device". Who
/// knows what the file was for turns it into an error of a family.
class FileError : public Error {
 public:
  /// `action`: "write", "rename to x"; `code`: an errno.
  FileError(const std::string& action, const Path& path, int code);
  /// `error` in other words.
  FileError(const std::string& message, const FileError& error)
      : Error(message, error.status()), code_(error.code()) {}
  int code() const { return code_; }
  bool is_full() const;     // no space or quota left
  bool is_missing() const;  // there is no such file

 private:
  int code_;
};

/// Of addresses, and of places in a file, for FileSystem::create_large().
inline constexpr size_t kDirectAlignment = 4096;

/// A file being written from its start. Destroyed without close(): what was written may or may not
/// be there.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void append(const void* data, size_t size) = 0;
  virtual void sync() = 0;  // the bytes are on the disk when it returns
  virtual void
  close() = 0;  // may report an earlier failure; the file can only be destroyed after it
};

/// A file open for reading. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual uint64_t size() const = 0;  // when it was opened
  /// Exactly `size` bytes from `offset`. Throws: FileError, also when the file ends before.
  virtual void read(uint64_t offset, void* data, size_t size) const = 0;
};

/// Held until destroyed; the operating system gives it up when the process ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class FileKind { kFile, kDirectory, kLink, kOther };

/// Thread-safe. Every function throws FileError.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Makes the file, or empties the one that is there.
  virtual std::unique_ptr<WritableFile> create(const Path& path) = 0;
  /// The same for a file of many megabytes that nobody reads soon, which may go to the disk without
  /// being copied: what is appended at a multiple of kDirectAlignment from there.
  virtual std::unique_ptr<WritableFile> create_large(const Path& path) { return create(path); }
  virtual std::unique_ptr<ReadableFile> open(const Path& path) = 0;

  /// Nothing: there is no such thing. Does not follow a link at the end of the path.
  virtual std::optional<FileKind> kind(const Path& path) = 0;
  /// Bytes of a file. Follows links.
  virtual uint64_t size(const Path& path) = 0;
  /// Names in a directory, sorted.
  virtual std::vector<std::string> list(const Path& path) = 0;
  virtual std::string read_link(const Path& path) = 0;
  /// Bytes that this process may still write to the file system that holds `path`.
  virtual uint64_t free_space(const Path& path) = 0;

  /// Replaces a file or link at `to`, atomically; a directory only if it is empty.
  virtual void rename(const Path& from, const Path& to) = 0;
  virtual void remove_file(const Path& path) = 0;       // or a link
  virtual void remove_directory(const Path& path) = 0;  // an empty one
  /// Its parent must be there. No error if the directory is there already.
  virtual void make_directory(const Path& path) = 0;
  virtual void make_link(const std::string& target, const Path& path) = 0;
  /// The names in the directory are on the disk when it returns.
  virtual void sync_directory(const Path& path) = 0;

  /// An exclusive lock on a file, which is made if needed; null while another process (or object)
  /// holds it.
  virtual std::unique_ptr<FileLock> try_lock(const Path& path) = 0;
};

/// The operating system's files. Interrupted calls (EINTR) and short reads and writes are
/// continued.
FileSystem& posix_files();

bool exists(FileSystem& files, const Path& path);
std::string read_text(FileSystem& files, const Path& path);

/// Makes a directory and its missing parents, all of them durable.
void make_directories(FileSystem& files, const Path& path);

/// Removes a file, a link, or a directory with all in it (links are removed, not followed). No
/// error if there is nothing.
void remove_all(FileSystem& files, const Path& path);

/// Writes a file so that a reader, or a start after a crash, sees the old content or the new one,
/// whole; durable when it returns. Several processes may write the same path.
void atomic_write(FileSystem& files, const Path& path, std::string_view content);

/// The same for a reader, but waits for no disk: after a crash of the host it may be the old
/// content, the new one, or an empty file.
void replace_file(FileSystem& files, const Path& path, std::string_view content);

/// Makes `path` a symbolic link to `target`, or points the link there to it, atomically. Not
/// durable before sync_directory of the parent.
void replace_link(FileSystem& files, const std::string& target, const Path& path);

}  // namespace triga
