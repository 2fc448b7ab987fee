// triga doctor: the file system that a run directory lies on, and whether what checkpoints rely on
// works there.
#pragma once

#include <filesystem>
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

/// What was tried in the directory.
struct FileTrials {
  std::string write;  // "", or what failed: a file, its fsync, a rename, the fsync of the folder
  std::string lock;   // "", or why flock failed
  bool has_direct = true;   // O_DIRECT
  double sync_seconds = 0;  // of a small file
};
/// Makes a file there and removes it.
FileTrials try_files(FileSystem& files, const Path& directory);

/// `directory`: what is looked at, `kind` and `trials` of it; `is_temporary`: below /tmp.
Findings judge_files(const std::string& directory, const FileSystemKind& kind,
                     const FileTrials& trials, double free_bytes, bool is_temporary, int num_hosts);

Findings look_at_files(const Wishes& wishes);

}  // namespace triga
