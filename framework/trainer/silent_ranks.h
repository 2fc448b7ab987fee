// SilentRanks: for how long ranks of other hosts have given no sign of life in the run's folder. It
// is what tells a host that is gone from one that takes long to read or write a large checkpoint.
//
// To look at everybody from everywhere would be too much for a file system: rank 0 looks at one
// rank of each other host, and they look at rank 0. Within a host ranks see each other, and who
// finds another one lost ends, and is silent then too.
//
// Sides' clocks may differ, so only a change of a record counts, by the clock of who looks. Time in
// which that one could not look (it was stopped, its disk did not answer) counts little, nor does a
// rank count that was never heard of: its host may not be able to write records.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "comm/communicator.h"

namespace triga {

class SilentRanks {
 public:
  using Clock = std::chrono::steady_clock;

  /// Whom `world`'s own rank looks at.
  static std::vector<int> to_look_at(const Communicator& world);

  /// `pause`: between two looks, as planned.
  SilentRanks(const std::vector<int>& ranks, std::chrono::milliseconds pause);

  /// `written_at(rank)`: a number that changes with each sign of life; nothing: there is no record,
  /// since the rank has ended in order, or none can be read.
  using WrittenAt = std::function<std::optional<double>(int rank)>;
  /// Does nothing before the pause is over.
  void look(const WrittenAt& written_at, Clock::time_point now);

  struct Silence {
    int rank;
    std::chrono::milliseconds duration{0};  // since its last sign of life
    double written_at = 0;
    int num_signs = 0;  // that were heard
  };
  const std::vector<Silence>& silences() const { return silences_; }

 private:
  const std::chrono::milliseconds pause_;
  std::optional<Clock::time_point> looked_at_;
  std::vector<Silence> silences_;
};

}  // namespace triga
