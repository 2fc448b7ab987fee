// triga doctor: the file system that a run directory lies on, and whether what checkpoints rely on
// works there. triga submit asks where it lies.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"
#include "launchers/doctor.h"

namespace triga {

struct FileSystemKind {
  std::string name;                                                       // "NFS", "ext4"
  enum class Reach { kHost, kShared, kUnknown } reach = Reach::kUnknown;  // who sees its files
  bool is_in_memory = false;
};

/// By statfs's f_type.
FileSystemKind file_system_kind(int64_t magic);

/// Where a folder lies, or will lie.
struct FolderPlace {
  Path folder;    // itself, or the nearest one above it that is there
  int error = 0;  // errno: the system says nothing of it, and nor does the rest
  FileSystemKind kind;
  double free_bytes = 0;
  bool is_temporary = false;  // below /tmp
};
FolderPlace find_place(const Path& directory);

/// Why a run on so many hosts cannot keep its files there, as far as this host can tell; "":
/// nothing is known against it.
std::string sharing_problem(const FolderPlace& place, int num_hosts);

/// What was tried in the directory.
struct FileTrials {
  std::string write;  // "", or what failed: a file, its fsync, a rename, the fsync of the folder
  std::string lock;   // "", or why flock failed
  bool has_direct = true;   // O_DIRECT
  double sync_seconds = 0;  // of a small file
};
/// Makes a file there and removes it.
FileTrials try_files(FileSystem& files, const Path& directory);

Findings judge_files(const FolderPlace& place, const FileTrials& trials, int num_hosts);

Findings look_at_files(const Wishes& wishes);

}  // namespace triga
