// Which checkpoints stay: the newest few, the best few, always one that is known to be good, and the
// way back of one that was saved in a series of spikes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"

namespace triga {

struct KeepBest {
  std::string metric;     // "validation/loss"
  bool maximize = false;  // mode: min or max
  int64_t count = 1;
};

struct Retention {
  int64_t keep_last = 3;  // at least 1
  std::optional<KeepBest> keep_best;
};

/// What retention looks at.
struct CheckpointSummary {
  int64_t step = 0;
  std::map<std::string, double> metrics;
  int64_t first_spike_step = 0;  // of the series of spikes in which it was saved; 0: in none
};

/// Steps to keep of `checkpoints` (any order). Pure. A metric that is missing or not a number is
/// worse than every number; of two equal ones the earlier is better.
std::set<int64_t> steps_to_keep(const std::vector<CheckpointSummary>& checkpoints,
                                const Retention& retention);

/// Adds to `keep`, for each in it that was saved in a series of spikes (a stop does that), the newest
/// from before the series: the run may have to go back there when it goes on. Pure.
void keep_ways_back(const std::vector<CheckpointSummary>& checkpoints, std::set<int64_t>& keep);

/// The step of the best, if there is one.
std::optional<int64_t> best_step(const std::vector<CheckpointSummary>& checkpoints,
                                 const KeepBest& keep_best);

}  // namespace triga
