// Writing checkpoints so that at every instant the newest whole one is found, whatever is
// interrupted:
//
//   step-00000500.tmp/   every file written and synced, then every folder, the manifest last
//   rename to step-00000500/, sync checkpoints/        <- from here on it is the newest
//   links latest and best, sync; then old ones are renamed to .trash, sync, and deleted
//
// CheckpointDraft is one directory in the making, for several writers; CheckpointWriter does a
// whole save, all ranks together.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/retention.h"
#include "checkpoint/snapshot.h"

namespace triga {

/// The disk (or quota) is full: nothing of the new checkpoint is left, the older ones are as they
/// were.
struct DiskFullError : CheckpointError {
  using CheckpointError::CheckpointError;
};

/// A checkpoint directory that is not visible yet. Throws: FileError from every function.
class CheckpointDraft {
 public:
  /// Of a step in `checkpoints`. One rank calls begin(); then any rank may write parts; then one
  /// rank commits.
  CheckpointDraft(FileSystem& files, Path checkpoints, int64_t step);

  void begin();                                  // an empty folder, whatever was there
  FileRecord write(const CheckpointPart& part);  // thread-safe for different paths
  /// Makes it visible, durably. `manifest.files`: the records of all parts.
  void commit(Manifest manifest);
  void discard();  // removes what is there of the draft, as far as it can; throws nothing

  const Path& directory() const { return directory_; }  // where it will be

 private:
  FileSystem& files_;
  Path checkpoints_, directory_, draft_;
};

struct WriterOptions {
  Retention retention;
  uint64_t max_shard_bytes = uint64_t{5} << 30;  // of tensors in one file
};

/// One run writes to a directory (its lease sees to that). Not thread-safe; a save may run on any
/// thread.
class CheckpointWriter {
 public:
  /// `checkpoints`: runs/<name>/checkpoints. On the rank that is the first of a run: made if
  /// needed; what an interrupted save left is cleared, and the links are mended. Throws:
  /// CheckpointError.
  CheckpointWriter(FileSystem& files, Path checkpoints, WriterOptions options,
                   bool is_first = true);

  /// All ranks write their files at once, then rank 0 makes them visible. Returns the directory of
  /// the new checkpoint when it is durable; then older ones may have been removed (when that fails,
  /// it is a sentence in take_warnings() of rank 0). A checkpoint of the same step is replaced.
  /// Collective. Throws: DiskFullError, CheckpointError, on all ranks; then the older ones are as
  /// they were; CommError.
  Path save(const Snapshot& snapshot, Communicator& ranks);
  /// Of one rank alone.
  Path save(const Snapshot& snapshot);

  /// Sentences about what went wrong since the last call without harm to the new checkpoint.
  std::vector<std::string> take_warnings();

 private:
  void check_space(uint64_t bytes);
  void clear_leftovers();
  void tidy(std::optional<int64_t> known_good);
  bool any_verifies(const std::set<int64_t>& steps);
  void point_link(const std::string& link, std::optional<int64_t> step);

  FileSystem& files_;
  Path checkpoints_;
  WriterOptions options_;
  std::vector<std::string> warnings_;
};

}  // namespace triga
