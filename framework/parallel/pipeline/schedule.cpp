#include "parallel/pipeline/schedule.h"

#include <algorithm>
#include <map>

#include "triga/error.h"

namespace triga {
namespace {

using Actions = std::vector<Action>;
using enum ActionKind;

std::vector<int> round_robin(int num_ranks, int chunks) {
  std::vector<int> rank_of_stage;
  for (int stage = 0; stage < num_ranks * chunks; ++stage)
    rank_of_stage.push_back(stage % num_ranks);
  return rank_of_stage;
}

/// GPipe (Huang et al. 2019): all forward, then all backward.
Actions gpipe(const ScheduleShape& shape, int rank) {
  Actions actions;
  for (const ActionKind kind : {kForward, kBackward})
    for (int i = 0; i < shape.num_microbatches; ++i) actions.push_back({kind, rank, i});
  return actions;
}

/// One forward, one backward (PipeDream-Flush; Narayanan et al. 2019, 2021): a rank holds no more
/// activations than there are ranks behind it.
Actions one_forward_one_backward(const ScheduleShape& shape, int rank) {
  const int warmup = std::min(shape.num_microbatches, shape.num_ranks - rank - 1);
  Actions actions;
  int forward = 0, backward = 0;
  while (forward < warmup) actions.push_back({kForward, rank, forward++});
  while (forward < shape.num_microbatches) {
    actions.push_back({kForward, rank, forward++});
    actions.push_back({kBackward, rank, backward++});
  }
  while (backward < shape.num_microbatches) actions.push_back({kBackward, rank, backward++});
  return actions;
}

/// Interleaved 1F1B (Narayanan et al. 2021, section 2.2): a rank has several stages and turns to
/// the next after a microbatch a rank. It is defined for microbatches that are a multiple of the
/// ranks; for others the next multiple is planned and those beyond are left out, which keeps the
/// order of the rest.
Actions interleaved(const ScheduleShape& shape, int rank) {
  const int ranks = shape.num_ranks, chunks = shape.chunks;
  const int padded = (shape.num_microbatches + ranks - 1) / ranks * ranks;
  const auto at = [&](int k, bool is_backward) {
    const int in_round = k % (ranks * chunks);
    const int chunk = is_backward ? chunks - 1 - in_round / ranks : in_round / ranks;
    return Action{is_backward ? kBackward : kForward, chunk * ranks + rank,
                  k / (ranks * chunks) * ranks + in_round % ranks};
  };
  const int total = padded * chunks;
  const int warmup = std::min(total, (ranks - rank - 1) * 2 + (chunks - 1) * ranks);
  Actions actions;
  for (int k = 0; k < total + warmup; ++k) {
    if (k < total) actions.push_back(at(k, false));
    if (k >= warmup) actions.push_back(at(k - warmup, true));
  }
  std::erase_if(actions,
                [&](const Action& action) { return action.microbatch >= shape.num_microbatches; });
  return actions;
}

/// ZB-H1 (Qi et al. 2024, section 2.2): 1F1B with the weight part of backward put off by as many
/// microbatches as there are ranks before this one, where it fills what would be a bubble.
Actions zero_bubble_h1(const ScheduleShape& shape, int rank) {
  const int warmup = std::min(shape.num_microbatches, shape.num_ranks - rank - 1);
  Actions actions;
  int forward = 0, input = 0, weight = 0;
  while (forward < warmup) actions.push_back({kForward, rank, forward++});
  while (forward < shape.num_microbatches) {
    actions.push_back({kForward, rank, forward++});
    actions.push_back({kBackwardInput, rank, input++});
    if (input - weight > rank) actions.push_back({kBackwardWeight, rank, weight++});
  }
  while (input < shape.num_microbatches) {
    actions.push_back({kBackwardInput, rank, input++});
    actions.push_back({kBackwardWeight, rank, weight++});
  }
  while (weight < shape.num_microbatches) actions.push_back({kBackwardWeight, rank, weight++});
  return actions;
}

/// ZB-V (Qi et al. 2024, section 6): two stages a rank, the second half of the model in reverse
/// order, so that the first rank has the last stage too. No bubble when F, I and W take the same
/// time and there are at least twice as many microbatches as ranks, less one.
class ZeroBubbleV {
 public:
  ZeroBubbleV(const ScheduleShape& shape, int rank)
      : num_(shape.num_microbatches), ranks_(shape.num_ranks), rank_(rank) {}

  Actions make() {
    const int down = rank_, up = 2 * ranks_ - 1 - rank_;  // the rank's stages
    for (int i = 0; i < 2 * (ranks_ - rank_) - 1; ++i) add(kForward, down);
    for (int i = 0; i < rank_; ++i) {
      add(kForward, up);
      add(kForward, down);
    }
    for (int i = 0; i < ranks_ - rank_; ++i) {
      add(kForward, up);
      add(kBackwardInput, up);
      add(kBackwardWeight, up);
    }
    while (done(kForward, up) < done(kForward, down) || done(kForward, down) < num_) {
      add(kForward, down);
      add(kBackwardInput, down);
      add(kBackwardWeight, down);
      if (done(kForward, up) < done(kForward, down)) add(kForward, up);
      add(kBackwardInput, up);
      add(kBackwardWeight, up);
    }
    for (int i = 0; i < rank_; ++i) {
      add(kBackwardInput, down);
      add(kBackwardInput, up);
    }
    for (int i = 0; i < ranks_ - rank_; ++i) {
      add(kBackwardInput, down);
      add(kBackwardWeight, down);
    }
    for (const int stage : {up, down})
      while (done(kBackwardWeight, stage) < done(kBackwardInput, stage))
        add(kBackwardWeight, stage);
    return std::move(actions_);
  }

 private:
  int& done(ActionKind kind, int stage) { return done_[{kind, stage}]; }

  /// The next microbatch's, where there is one and what comes before it is there.
  void add(ActionKind kind, int stage) {
    const int next = done(kind, stage);
    const int most = kind == kForward         ? num_
                     : kind == kBackwardInput ? done(kForward, stage)
                                              : done(kBackwardInput, stage);
    if (next >= most) return;
    actions_.push_back({kind, stage, next});
    ++done(kind, stage);
  }

  const int num_, ranks_, rank_;
  std::map<std::pair<ActionKind, int>, int> done_;
  Actions actions_;
};

std::vector<int> v_shape(int num_ranks) {
  std::vector<int> rank_of_stage;
  for (int stage = 0; stage < 2 * num_ranks; ++stage)
    rank_of_stage.push_back(stage < num_ranks ? stage : 2 * num_ranks - 1 - stage);
  return rank_of_stage;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

Actions actions_of(std::string_view name, const ScheduleShape& shape, int rank) {
  if (name == "gpipe") return gpipe(shape, rank);
  if (name == "1f1b") return one_forward_one_backward(shape, rank);
  if (name == "interleaved_1f1b") return interleaved(shape, rank);
  if (name == "zb_h1") return zero_bubble_h1(shape, rank);
  return ZeroBubbleV(shape, rank).make();
}

}  // namespace

std::string_view word(ActionKind kind) {
  switch (kind) {
    case kForward:
      return "F";
    case kBackward:
      return "B";
    case kBackwardInput:
      return "I";
    case kBackwardWeight:
      return "W";
  }
  return "?";
}

const std::vector<ScheduleKind>& schedule_kinds() {
  static const std::vector<ScheduleKind> kinds = {
      {"gpipe", "All forward, then all backward: simple, holds every microbatch's activations."},
      {"1f1b", "One forward, one backward: as many activations as ranks. The usual choice."},
      {"interleaved_1f1b",
       "1f1b with several stages a rank (chunks): a smaller bubble for more messages.", 2, 64},
      {"zb_h1", "1f1b whose bubble is filled with the weight part of backward, in its memory."},
      {"zb_v", "Two stages a rank, there and back: nearly no bubble, in the memory of 1f1b.", 2,
       2}};
  return kinds;
}

const ScheduleKind& find_schedule(std::string_view name) {
  std::string names;
  for (const ScheduleKind& kind : schedule_kinds()) {
    if (lower(name) == kind.name) return kind;
    names += (names.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw ConfigError(c10::str("no pipeline schedule '", name, "'; there are ", names));
}

Schedule make_schedule(std::string_view name, const ScheduleShape& shape) {
  const ScheduleKind& kind = find_schedule(name);
  TRIGA_CHECK(shape.num_ranks >= 1 && shape.num_microbatches >= 1 && shape.chunks >= 1,
              "a schedule of ", shape.num_ranks, " ranks, ", shape.num_microbatches,
              " microbatches, ", shape.chunks, " chunks");
  if (shape.chunks < kind.least_chunks || shape.chunks > kind.most_chunks)
    throw ConfigError(c10::str(
        "pipeline schedule ", kind.name, " takes ", kind.least_chunks,
        kind.most_chunks > kind.least_chunks ? c10::str(" to ", kind.most_chunks) : std::string(),
        kind.most_chunks == 1 ? " stage" : " stages", " a rank, not ", shape.chunks));
  Schedule schedule;
  schedule.name = kind.name;
  schedule.num_microbatches = shape.num_microbatches;
  schedule.rank_of_stage =
      kind.name == "zb_v" ? v_shape(shape.num_ranks) : round_robin(shape.num_ranks, shape.chunks);
  for (int rank = 0; rank < shape.num_ranks; ++rank)
    schedule.actions.push_back(actions_of(kind.name, shape, rank));
  return schedule;
}

bool splits_backward(const Schedule& schedule) {
  for (const Actions& actions : schedule.actions)
    for (const Action& action : actions)
      if (action.kind == kBackwardInput) return true;
  return false;
}

int ScheduleChoice::num_stages(int num_ranks) const {
  return own ? own->num_stages() : num_ranks * chunks;
}

Schedule ScheduleChoice::schedule(int num_ranks, int num_microbatches) const {
  if (!own) return make_schedule(name, {num_ranks, num_microbatches, chunks});
  if (own->num_ranks() != num_ranks)
    throw ConfigError(c10::str(own->name, " is a schedule of ", own->num_ranks(),
                               " ranks; parallel.pp is ", num_ranks));
  if (num_microbatches > own->num_microbatches)
    throw ConfigError(c10::str(own->name, " plans ", own->num_microbatches,
                               " microbatches; a step has ", num_microbatches, " on a rank"));
  return first_microbatches(*own, num_microbatches);
}

// A microbatch goes through stage s in turn i + s: ranks with several stages take the next
// microbatch while others have this one.
Schedule forward_schedule(const std::vector<int>& rank_of_stage, int num_ranks,
                          int num_microbatches) {
  Schedule schedule;
  schedule.name = "forward";
  schedule.num_microbatches = num_microbatches;
  schedule.rank_of_stage = rank_of_stage;
  schedule.actions.resize(static_cast<size_t>(num_ranks));
  const int num_stages = schedule.num_stages();
  for (int turn = 0; turn < num_microbatches + num_stages - 1; ++turn)
    for (int stage = num_stages - 1; stage >= 0; --stage) {
      const int microbatch = turn - stage;
      if (microbatch < 0 || microbatch >= num_microbatches) continue;
      const auto rank = static_cast<size_t>(rank_of_stage[static_cast<size_t>(stage)]);
      schedule.actions[rank].push_back({kForward, stage, microbatch});
    }
  return schedule;
}

Schedule first_microbatches(Schedule schedule, int num_microbatches) {
  schedule.num_microbatches = std::min(schedule.num_microbatches, num_microbatches);
  for (Actions& actions : schedule.actions)
    std::erase_if(actions,
                  [&](const Action& action) { return action.microbatch >= num_microbatches; });
  return schedule;
}

}  // namespace triga
