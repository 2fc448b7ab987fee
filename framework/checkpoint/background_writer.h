// BackgroundWriter: a save while training goes on. Files are written by a thread of its own, on
// every rank; what ranks must agree on is agreed between two steps, on the thread that trains, so
// that a communicator has one thread. Each rank says vote() in a reduction that every step has
// anyway, and gives the sum to advance():
//
//   main     start()      step  step  step   advance()       step  step   advance()
//            snapshot,    votes: written?    records to      votes:       it is saved
//            draft                           rank 0          committed?
//   thread          write, checksum, fsync            rank 0: manifest, rename, links, retention
#pragma once

#include <future>
#include <memory>

#include "checkpoint/writer.h"

namespace triga {

/// One thread calls it.
class BackgroundWriter {
 public:
  explicit BackgroundWriter(CheckpointWriter& writer) : writer_(writer) {}
  /// Waits for the thread. A save that is not finished has left a draft, which the next start
  /// removes, or is there.
  ~BackgroundWriter() = default;
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  /// Requires: !is_busy(). No tensor of `snapshot` may change until is_busy() is false again.
  /// Collective. Throws: as CheckpointWriter::save(), when it could not begin.
  void start(const Snapshot& snapshot, Communicator& ranks);

  bool is_busy() const { return save_ != nullptr; }
  /// The step that is being saved, or was at last.
  int64_t step() const { return step_; }

  /// 1 if this rank has done what the others wait for, else 0.
  double vote() const;
  /// `votes`: the sum over all ranks of what vote() gave in one reduction. Returns true when the
  /// checkpoint is there, durably. Collective. Throws: as CheckpointWriter::save(), when it failed;
  /// then nothing is left to do.
  bool advance(double votes, Communicator& ranks);
  /// Waits until it is saved. Collective. Requires, throws: as advance().
  void finish(Communicator& ranks);

 private:
  bool end_part(Communicator& ranks);

  CheckpointWriter& writer_;
  std::unique_ptr<CheckpointSave> save_;  // null: nothing is being saved
  bool is_committing_ = false;
  int64_t step_ = -1;
  std::future<void> thread_;  // the last member: it waits before the others go
};

}  // namespace triga
