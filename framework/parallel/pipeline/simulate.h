// How long a schedule takes, with given times of its actions: to compare schedules before anything
// runs, and to draw them.
#pragma once

#include <vector>

#include "parallel/pipeline/schedule.h"

namespace triga {

/// Seconds, by stage.
struct StageCosts {
  std::vector<double> forward, backward_input, backward_weight;
  std::vector<double> transfer;  // of a stage's outputs, and of their gradients, to another rank

  /// Of any action that computes; backward is both of its parts.
  double of(const Action& action) const;
};
StageCosts equal_costs(int num_stages, double forward, double backward_input,
                       double backward_weight, double transfer = 0);

struct TimedAction {
  Action action;
  double begin = 0, end = 0;
};

struct Simulation {
  std::vector<std::vector<TimedAction>> ranks;  // in the order of their lists
  double seconds = 0;                           // to the end of the last action

  /// The largest share of its own time, from its first action to its last, that a rank waits (the
  /// bubble rate of Qi et al. 2024; for schedules in which rank 0 is first and last, that of
  /// Narayanan et al. 2021 as well).
  double bubble() const;
};

/// Of actions that compute; messages take time and no rank's attention. Requires: a schedule
/// without problems.
Simulation simulate(const Schedule& schedule, const StageCosts& costs);

}  // namespace triga
