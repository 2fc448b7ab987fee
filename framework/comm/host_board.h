// HostBoard: where the ranks of a group that share a host meet, in memory that all of them see.
// Each rank says there what it is about to do, with a small payload, and counts its arrivals; so a
// barrier, an agreement and a small collective are one write and one look, without a message.
//
// A rank is at most one arrival ahead of any other, so two places a rank, used in turn, are enough:
// what was said at arrival k may be read until the reader arrives for the k+1st time.
//
// Threads: one thread a stream (data operations, host channel).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "comm/opening.h"
#include "comm/progress_table.h"
#include "comm/shared_segment.h"

namespace triga {

class HostBoard {
 public:
  /// Made by one of the ranks, opened by the others. `num_ranks`, `rank`: of the group on this
  /// host.
  static std::shared_ptr<HostBoard> create(int num_ranks, int rank);
  static std::shared_ptr<HostBoard> open(const std::string& address, int num_ranks, int rank);
  std::string address() const { return segment_->address(); }

  int size() const { return num_ranks_; }
  int rank() const { return rank_; }

  /// Where this rank writes what it is about to do before its next arrival.
  OpeningView mine(ProgressStream stream);
  /// What `rank` wrote before the last arrival of this rank. Requires: has_arrived(stream, rank).
  OpeningView of(ProgressStream stream, int rank);

  /// Says that this rank waits for a message of `peer`, or for one of its own to be taken; -1: no
  /// more. `operation`: which.
  void wait_for_message(ProgressStream stream, int peer, const Operation& operation);
  /// Whether `rank` waits for a message of this rank, and which.
  std::optional<Opening> waits_for_me(ProgressStream stream, int rank) const;

  /// Counts this rank in, and wakes those who sleep.
  void arrive(ProgressStream stream);
  /// Whether `rank` has arrived as often as this one.
  bool has_arrived(ProgressStream stream, int rank) const;
  bool have_all_arrived(ProgressStream stream) const;
  /// Returns when somebody arrived, or after a while. With fewer cores than ranks there is no use
  /// in looking again and again, so it sleeps at once; else it looks a few times first.
  void wait_for_arrivals(ProgressStream stream, std::chrono::microseconds longest);

 private:
  struct Stream;
  struct Place;

  HostBoard(std::shared_ptr<SharedSegment> segment, int num_ranks, int rank);
  static size_t bytes_for(int num_ranks);
  Stream& stream(ProgressStream stream) const;
  Place& place(ProgressStream stream, int rank) const;
  /// `which`: 0 and 1 in turn, 2 of the message that a rank waits for.
  OpeningView opening(ProgressStream stream, int rank, size_t which) const;

  std::shared_ptr<SharedSegment> segment_;
  int num_ranks_, rank_;
  int num_looks_;                  // before sleeping
  uint64_t arrivals_[2] = {0, 0};  // of this rank, by stream
};

}  // namespace triga
