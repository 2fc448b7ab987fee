// Which checkpoints stay: the newest few, the best few, and always one that is known to be good.
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
};

/// Steps to keep of `checkpoints` (any order). Pure. A metric that is missing or not a number is
/// worse than every number; of two equal ones the earlier is better.
std::set<int64_t> steps_to_keep(const std::vector<CheckpointSummary>& checkpoints,
                                const Retention& retention);

/// The step of the best, if there is one.
std::optional<int64_t> best_step(const std::vector<CheckpointSummary>& checkpoints,
                                 const KeepBest& keep_best);

}  // namespace triga
