#include "parallel/pipeline/simulate.h"

#include <algorithm>
#include <map>

#include "triga/error.h"

namespace triga {
namespace {

using enum ActionKind;

class Clock {
 public:
  Clock(const Schedule& schedule, const StageCosts& costs) : schedule_(schedule), costs_(costs) {
    result_.ranks.resize(schedule.actions.size());
  }

  Simulation run() {
    std::vector<size_t> next(schedule_.actions.size(), 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t rank = 0; rank < next.size(); ++rank)
        while (next[rank] < schedule_.actions[rank].size() &&
               step(rank, schedule_.actions[rank][next[rank]])) {
          ++next[rank];
          moved = true;
        }
    }
    for (size_t rank = 0; rank < next.size(); ++rank)
      TRIGA_CHECK(next[rank] == schedule_.actions[rank].size(), "the schedule stops at rank ",
                  rank);
    return std::move(result_);
  }

 private:
  bool step(size_t rank, const Action& action) {
    std::vector<TimedAction>& mine = result_.ranks[rank];
    double begin = mine.empty() ? 0 : mine.back().end;
    const ActionKind kind = action.kind;
    const int stage = action.stage, microbatch = action.microbatch;
    const auto await = [&](ActionKind what, int of) {
      const auto found = ends_.find({what, of, microbatch});
      if (found == ends_.end()) return false;
      const bool is_here = schedule_.rank_of_stage[static_cast<size_t>(of)] ==
                           schedule_.rank_of_stage[static_cast<size_t>(stage)];
      const double transfer =
          is_here ? 0 : costs_.transfer[static_cast<size_t>(std::min(of, stage))];
      begin = std::max(begin, found->second + transfer);
      return true;
    };
    if (kind == kForward && stage > 0 && !await(kForward, stage - 1)) return false;
    if (kind == kBackward || kind == kBackwardInput) {
      if (!await(kForward, stage)) return false;
      if (stage + 1 < schedule_.num_stages() && !await(kBackwardInput, stage + 1)) return false;
    }
    if (kind == kBackwardWeight && !await(kBackwardInput, stage)) return false;
    const double end = begin + costs_.of(action);
    mine.push_back({action, begin, end});
    ends_[{kind == kBackward ? kBackwardInput : kind, stage, microbatch}] = end;
    result_.seconds = std::max(result_.seconds, end);
    return true;
  }

  const Schedule& schedule_;
  const StageCosts& costs_;
  std::map<Action, double> ends_;
  Simulation result_;
};

}  // namespace

double StageCosts::of(const Action& action) const {
  const auto stage = static_cast<size_t>(action.stage);
  switch (action.kind) {
    case kForward:
      return forward[stage];
    case kBackward:
      return backward_input[stage] + backward_weight[stage];
    case kBackwardInput:
      return backward_input[stage];
    case kBackwardWeight:
      return backward_weight[stage];
    default:
      return 0;
  }
}

StageCosts equal_costs(int num_stages, double forward, double backward_input,
                       double backward_weight, double transfer) {
  const auto each = [&](double seconds) {
    return std::vector<double>(static_cast<size_t>(num_stages), seconds);
  };
  return {each(forward), each(backward_input), each(backward_weight), each(transfer)};
}

double Simulation::bubble() const {
  double most = 0;
  for (const std::vector<TimedAction>& rank : ranks) {
    if (rank.empty()) continue;
    double busy = 0;
    for (const TimedAction& timed : rank) busy += timed.end - timed.begin;
    const double span = rank.back().end - rank.front().begin;
    if (span > 0) most = std::max(most, (span - busy) / span);
  }
  return most;
}

Simulation simulate(const Schedule& schedule, const StageCosts& costs) {
  return Clock(schedule, costs).run();
}

}  // namespace triga
