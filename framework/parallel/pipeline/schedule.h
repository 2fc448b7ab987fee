// Schedule: what each rank of a pipeline does in a step, as data. A model is cut into stages, the
// stages are dealt to ranks, and each rank has a list of actions that it does one after the other.
// The same list is executed, checked (schedule_check.h), simulated (simulate.h), printed and drawn
// (schedule_text.h).
//
//   1f1b, 2 ranks, 3 microbatches     rank 0:  F0 F1 B0 F2 B1 B2
//                                     rank 1:     F0 B0 F1 B1 F2 B2
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triga {

enum class ActionKind : uint8_t {
  kForward,        // F
  kBackward,       // B: the gradients of a stage's inputs and weights
  kBackwardInput,  // I: of its inputs only, with what is needed for the weights kept
  kBackwardWeight  // W: of its weights, from what was kept
};

/// "F", "B", "I", "W".
std::string_view word(ActionKind kind);

struct Action {
  ActionKind kind = ActionKind::kForward;
  int stage = 0;
  int microbatch = 0;
  auto operator<=>(const Action&) const = default;
};

struct Schedule {
  std::string name;
  int num_microbatches = 0;
  std::vector<int> rank_of_stage;            // [stage]
  std::vector<std::vector<Action>> actions;  // [rank]

  int num_ranks() const { return static_cast<int>(actions.size()); }
  int num_stages() const { return static_cast<int>(rank_of_stage.size()); }
};

struct ScheduleShape {
  int num_ranks = 1;
  int num_microbatches = 1;
  int chunks = 1;  // stages a rank
};

/// What a schedule is and when to use it, in a line; and how many stages a rank it takes.
struct ScheduleKind {
  std::string_view name, help;
  int least_chunks = 1, most_chunks = 1;
};
/// gpipe, 1f1b, interleaved_1f1b, zb_h1, zb_v.
const std::vector<ScheduleKind>& schedule_kinds();

/// Throws: ConfigError that lists the names.
const ScheduleKind& find_schedule(std::string_view name);

/// By name, upper and lower case alike. Any number of microbatches is possible: a step at the end
/// of an epoch may be short. Throws: ConfigError that lists the names, or the chunks that the
/// schedule takes.
Schedule make_schedule(std::string_view name, const ScheduleShape& shape);

/// Does it go backward in two parts (I and W) anywhere?
bool splits_backward(const Schedule& schedule);

/// Which schedule a run has: one by its name, for any number of microbatches; or a user's own, for as
/// many as it plans and fewer.
struct ScheduleChoice {
  std::string name = "1f1b";
  int chunks = 1;
  std::optional<Schedule> own = {};

  int num_stages(int num_ranks) const;
  /// Throws: ConfigError for other ranks or more microbatches than the user's own plans; as
  /// make_schedule().
  Schedule schedule(int num_ranks, int num_microbatches) const;
};

/// Only forward, for evaluation and generation: microbatches follow one another through the stages.
Schedule forward_schedule(const std::vector<int>& rank_of_stage, int num_ranks,
                          int num_microbatches);

/// For a step with fewer microbatches: without the others, in the same order, which cannot bring a
/// deadlock.
Schedule first_microbatches(Schedule schedule, int num_microbatches);

}  // namespace triga
