// Writing checkpoints so that at every instant the newest whole one is found, whatever is
// interrupted:
//
//   step-00000500.START.tmp/   every file written and synced, then every folder, the manifest last
//   rename to step-00000500/, sync checkpoints/              <- from here on it is the newest
//   links latest and best, sync; then old ones are renamed to .trash, sync, and deleted
//
// CheckpointDraft is one directory in the making, for several writers; CheckpointWriter does a
// whole save, all ranks together; CheckpointSave is such a save in its parts, of which those that
// take long may run on a thread of their own (background_writer.h).
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
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
  /// Of a step in `checkpoints`; `start`: as in draft_name(), the same on all ranks. One rank calls
  /// begin(); then any rank may write parts; then one rank commits.
  CheckpointDraft(FileSystem& files, Path checkpoints, int64_t step, std::string_view start = "");

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
  std::string start = {};  // of the run, as in draft_name(); the first rank's counts
};

class CheckpointSave;

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

  /// Removes what is newer than a step, durably, and points the links anew: the run goes on from
  /// there another way. Of rank 0. Throws: CheckpointError.
  void remove_after(int64_t step);

  /// Sentences about what went wrong since the last call without harm to the new checkpoint.
  std::vector<std::string> take_warnings();

 private:
  friend class CheckpointSave;
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

/// One save: write() on every rank, agree_written(), commit() on every rank, finish(), in this order.
/// write() and commit() do not communicate and may run on any thread; what fails in them (a file,
/// memory, a check) is said by the collective part after them. One save of a writer at a time.
class CheckpointSave {
 public:
  /// Looks whether there is room, and makes the draft. Both must outlive the save, tensors included
  /// in which nothing may change until agree_written(). Collective. Throws: as
  /// CheckpointWriter::save().
  CheckpointSave(CheckpointWriter& writer, const Snapshot& snapshot, Communicator& ranks);

  void write();  // this rank's files
  /// Collective. Throws: as CheckpointWriter::save(), on all ranks, when one could not write.
  void agree_written(Communicator& ranks);
  void commit();  // on rank 0: makes it visible, and removes older ones; elsewhere nothing
  /// Collective. Throws: as CheckpointWriter::save().
  Path finish(Communicator& ranks);

  int64_t step() const { return manifest_.step; }

 private:
  /// How a part went on this rank, and then on all.
  struct Outcome {
    std::string failure;  // "": it went well
    bool is_full = false;
    template <class Action>
    void attempt(const Action& action);
    /// Takes over the failure of the first rank that has one. Returns whether there is one.
    bool agree(Communicator& ranks, std::string_view what);
  };
  [[noreturn]] void give_up();

  CheckpointWriter& writer_;
  const bool is_first_;
  std::vector<CheckpointPart> parts_;  // of this rank
  Manifest manifest_;                  // without the files
  std::vector<FileRecord> written_;    // of this rank, then on rank 0 of all
  CheckpointDraft draft_;
  Outcome outcome_;
};

}  // namespace triga
