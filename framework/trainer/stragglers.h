// Stragglers: ranks that do their own work more slowly than those that do the same, over and over:
// a host that is too warm, shares its cores or reads from a slow disk, for which all others wait at
// every step. Found from the records of all ranks, without a message.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trainer/rank_record.h"

namespace triga {

class Stragglers {
 public:
  struct Options {
    std::chrono::milliseconds window = std::chrono::minutes(1);  // of one comparison
    std::chrono::milliseconds quiet = std::chrono::minutes(10);  // between two lines on a rank
    int num_windows = 3;        // in a row in which a rank must be slow
    double least_excess = 0.2;  // of the time of a step
  };

  Stragglers() : Stragglers(Options()) {}
  explicit Stragglers(const Options& options) : options_(options) {}

  using Clock = std::chrono::steady_clock;
  bool is_due(Clock::time_point now) const { return now - looked_at_ >= options_.window; }
  /// A line on each rank that is slow, for the log.
  std::vector<std::string> look(const std::vector<RankRecord>& records, Clock::time_point now);

 private:
  struct Known {
    OwnWork work;
    int num_slow = 0;  // windows in a row
    std::optional<Clock::time_point> said_at;
  };

  Options options_;
  Clock::time_point looked_at_ = Clock::now();
  std::map<int, Known> known_;  // by rank
};

}  // namespace triga
