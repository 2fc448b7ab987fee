// Whether a schedule can be run, and what it holds: for our own schedules in tests, for a user's
// file before a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "parallel/pipeline/schedule.h"

namespace triga {

enum class Sends {
  kBuffered,  // a send is done at once, whenever the other side comes: what the runner does
  kBlocking   // a send ends when the other side has come to the action that needs it
};

/// What is wrong with a schedule of actions that compute, a sentence each: a stage that a rank does
/// not have, a microbatch that does not go forward and backward exactly once through each stage,
/// actions in the wrong order, ranks that wait for each other for ever.
std::vector<std::string> check_schedule(const Schedule& schedule);

/// Nothing, or in words which rank waits for what. Requires: no other problem.
std::optional<std::string> find_deadlock(const Schedule& schedule, Sends sends);

/// [rank] how many pairs of stage and microbatch hold activations at once, at most: from their
/// forward action to the end of their backward, weights included. Does not depend on time.
std::vector<int> peak_activations(const Schedule& schedule);

}  // namespace triga
