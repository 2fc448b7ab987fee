// What is the same for every FileSystem: composed of its operations, so that a test that fails one
// of them fails these.
#include "base/files.h"

#include <cerrno>
#include <cstring>
#include <random>

#include <fmt/format.h>

namespace triga {

FileError::FileError(const std::string& action, const Path& path, int code)
    : Error(fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(code))),
      code_(code) {}

bool FileError::is_full() const {
  return code_ == ENOSPC || code_ == EDQUOT;
}
bool FileError::is_missing() const {
  return code_ == ENOENT || code_ == ENOTDIR;
}

bool exists(FileSystem& files, const Path& path) {
  return files.kind(path).has_value();
}

namespace {

std::string read_whole(FileSystem& files, const Path& path) {
  auto file = files.open(path);
  std::string text(file->size(), '\0');
  file->read(0, text.data(), text.size());
  return text;
}

}  // namespace

std::string read_text(FileSystem& files, const Path& path) {
  try {
    return read_whole(files, path);
  } catch (const FileError& error) {
    if (error.code() != ESTALE) throw;
  }
  return read_whole(files, path);  // another host replaced it in between: NFS
}

namespace {

Path parent_of(const Path& path) {
  return path.has_parent_path() ? path.parent_path() : Path(".");
}

// A name beside `path` that no other process (perhaps on another host) uses.
Path unique_neighbour(const Path& path) {
  std::random_device random;
  return parent_of(path) /
         fmt::format(".{}.{:08x}{:08x}.tmp", path.filename().string(), random(), random());
}

void remove_quietly(FileSystem& files, const Path& path) {
  try {
    files.remove_file(path);
  } catch (const FileError&) {  // the first failure is the one to report
  }
}

}  // namespace

void make_directories(FileSystem& files, const Path& path) {
  if (path.empty() || exists(files, path)) return;
  const Path parent = parent_of(path);
  if (parent != path) make_directories(files, parent);
  files.make_directory(path);
  files.sync_directory(parent);
}

void remove_all(FileSystem& files, const Path& path) {
  const auto kind = files.kind(path);
  if (!kind) return;
  if (*kind != FileKind::kDirectory) return files.remove_file(path);
  for (const auto& name : files.list(path)) remove_all(files, path / name);
  files.remove_directory(path);
}

namespace {

void write_beside_and_rename(FileSystem& files, const Path& path, std::string_view content,
                             bool is_synced) {
  const Path draft = unique_neighbour(path);
  try {
    auto file = files.create(draft);
    file->append(content.data(), content.size());
    if (is_synced) file->sync();
    file->close();
    files.rename(draft, path);
  } catch (const FileError&) {
    remove_quietly(files, draft);
    throw;
  }
}

}  // namespace

void atomic_write(FileSystem& files, const Path& path, std::string_view content) {
  write_beside_and_rename(files, path, content, /*is_synced=*/true);
  files.sync_directory(parent_of(path));
}

void replace_file(FileSystem& files, const Path& path, std::string_view content) {
  write_beside_and_rename(files, path, content, /*is_synced=*/false);
}

void replace_link(FileSystem& files, const std::string& target, const Path& path) {
  const Path draft = unique_neighbour(path);
  try {
    files.make_link(target, draft);
    files.rename(draft, path);
  } catch (const FileError&) {
    remove_quietly(files, draft);
    throw;
  }
}

}  // namespace triga
