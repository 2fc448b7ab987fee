// Checksums of files: XXH3-128 of every block of 16 MiB, so that a damaged place is named, blocks
// are checked in parallel, and several writers of one file can each hash what they write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace triga {

inline constexpr uint64_t kChecksumBlockBytes = uint64_t{16} << 20;

/// From here on a file is worth FileSystem::create_large(), and a thread.
inline constexpr uint64_t kLargeFileBytes = uint64_t{4} << 20;

/// XXH3-128 with seed 0, as 32 hexadecimal digits (what the tool xxh128sum prints).
std::string checksum_of(std::string_view bytes);

/// What a manifest knows of a file.
struct FileRecord {
  std::string path;  // relative to the checkpoint, with '/'
  uint64_t bytes = 0;
  std::vector<std::string>
      blocks;  // checksum of each 16 MiB; the last block is shorter; none for an empty file

  bool operator==(const FileRecord&) const = default;
};

/// Writes a file and computes its record on the way.
class ChecksummedFile {
 public:
  /// `root`: the directory that `path` is relative to. `bytes`: about how many will come. Throws:
  /// FileError.
  ChecksummedFile(FileSystem& files, const Path& root, std::string path, uint64_t bytes = 0);
  ~ChecksummedFile();

  void append(const void* data, size_t size);
  void append(std::string_view text) { append(text.data(), text.size()); }

  /// Syncs and closes. The object can only be destroyed after it.
  FileRecord finish();

 private:
  struct Hash;
  void end_block();

  std::unique_ptr<WritableFile> file_;
  FileRecord record_;
  std::unique_ptr<Hash> hash_;
  uint64_t block_bytes_ = 0;  // in the block that is open
};

/// Compares files with their records, by reading all of them on `num_threads` threads. Returns a
/// sentence for each that differs ("model.safetensors: bytes 0..16777216: checksum differs from the
/// manifest"), in the order of the records.
std::vector<std::string> verify_files(FileSystem& files, const Path& root,
                                      const std::vector<FileRecord>& records, int num_threads = 2);

}  // namespace triga
