#include "parallel/pipeline/schedule_check.h"

#include <algorithm>
#include <map>
#include <set>

#include "triga/error.h"

namespace triga {
namespace {

using enum ActionKind;

std::string name_of(const Action& action) {
  return c10::str(word(action.kind), " of stage ", action.stage, ", microbatch ",
                  action.microbatch);
}

/// What must have been done before an action, on any rank; without gradients of weights.
std::vector<Action> needs(const Schedule& schedule, const Action& action) {
  std::vector<Action> before;
  const auto [kind, stage, microbatch] = action;
  if (kind == kForward && stage > 0) before.push_back({kForward, stage - 1, microbatch});
  if (kind == kBackward || kind == kBackwardInput) {
    before.push_back({kForward, stage, microbatch});
    if (stage + 1 < schedule.num_stages())
      before.push_back({kBackwardInput, stage + 1, microbatch});
  }
  if (kind == kBackwardWeight) before.push_back({kBackwardInput, stage, microbatch});
  return before;
}

/// Gradients of inputs come from a whole backward action too.
Action as_result(Action action) {
  if (action.kind == kBackward) action.kind = kBackwardInput;
  return action;
}

/// Runs the lists without times.
class DryRun {
 public:
  DryRun(const Schedule& schedule, Sends sends)
      : schedule_(schedule), sends_(sends), next_(schedule.actions.size(), 0) {}

  std::optional<std::string> find_deadlock() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t rank = 0; rank < next_.size(); ++rank)
        while (step(rank)) moved = true;
    }
    std::string stuck;
    for (size_t rank = 0; rank < next_.size(); ++rank)
      if (next_[rank] < schedule_.actions[rank].size()) stuck += describe(rank);
    if (stuck.empty()) return std::nullopt;
    return "ranks wait for each other for ever:" + stuck;
  }

 private:
  /// Whether rank `rank` got on.
  bool step(size_t rank) {
    const std::vector<Action>& actions = schedule_.actions[rank];
    if (next_[rank] == actions.size()) return false;
    if (const auto pending = pending_.find(rank); pending != pending_.end()) {
      if (!is_awaited(pending->second)) return false;
      pending_.erase(pending);
      ++next_[rank];
      return true;
    }
    const Action& action = actions[next_[rank]];
    for (const Action& before : needs(schedule_, action))
      if (!done_.contains(before)) return false;
    done_.insert(as_result(action));
    if (sends_ == Sends::kBlocking && sends_elsewhere(action))
      pending_[rank] = action;
    else
      ++next_[rank];
    return true;
  }

  /// The stage whose action uses the result.
  int reader(const Action& action) const {
    if (action.kind == kForward) return action.stage + 1;
    return action.kind == kBackwardWeight ? -1 : action.stage - 1;
  }

  bool sends_elsewhere(const Action& action) const {
    const int to = reader(action);
    return to >= 0 && to < schedule_.num_stages() &&
           schedule_.rank_of_stage[static_cast<size_t>(to)] !=
               schedule_.rank_of_stage[static_cast<size_t>(action.stage)];
  }

  /// Has the other side come to the action that reads it?
  bool is_awaited(const Action& sent) const {
    const int to = reader(sent);
    const bool is_forward = sent.kind == kForward;
    if (done_.contains({is_forward ? kForward : kBackwardInput, to, sent.microbatch})) return true;
    const auto rank = static_cast<size_t>(schedule_.rank_of_stage[static_cast<size_t>(to)]);
    if (pending_.contains(rank) || next_[rank] == schedule_.actions[rank].size()) return false;
    const Action& now = schedule_.actions[rank][next_[rank]];
    return now.stage == to && now.microbatch == sent.microbatch && now.kind != kBackwardWeight &&
           (now.kind == kForward) == is_forward;
  }

  std::string describe(size_t rank) const {
    const Action& action = schedule_.actions[rank][next_[rank]];
    if (pending_.contains(rank))
      return c10::str("\n  rank ", rank, " sends the result of ", name_of(action));
    std::string missing;
    for (const Action& before : needs(schedule_, action))
      if (!done_.contains(before)) missing += " " + name_of(before);
    return c10::str("\n  rank ", rank, ": ", name_of(action), " waits for", missing);
  }

  const Schedule& schedule_;
  const Sends sends_;
  std::vector<size_t> next_;          // [rank] its action
  std::map<size_t, Action> pending_;  // by rank: a blocking send
  std::set<Action> done_;
};

class Checker {
 public:
  explicit Checker(const Schedule& schedule) : schedule_(schedule) {}

  std::vector<std::string> check() {
    for (size_t rank = 0; rank < schedule_.actions.size(); ++rank)
      for (const Action& action : schedule_.actions[rank])
        check_action(static_cast<int>(rank), action);
    for (int stage = 0; stage < schedule_.num_stages(); ++stage)
      for (int i = 0; i < schedule_.num_microbatches; ++i) check_once(stage, i);
    if (!problems_.empty()) return problems_;
    if (const auto deadlock = triga::find_deadlock(schedule_, Sends::kBuffered))
      problems_.push_back(*deadlock);
    return problems_;
  }

 private:
  void check_action(int rank, const Action& action) {
    const std::string who = c10::str("rank ", rank, ": ", name_of(action), ": ");
    if (action.stage < 0 || action.stage >= schedule_.num_stages())
      problems_.push_back(c10::str(who, "there are stages 0 to ", schedule_.num_stages() - 1));
    else if (schedule_.rank_of_stage[static_cast<size_t>(action.stage)] != rank)
      problems_.push_back(c10::str(who, "the stage is rank ",
                                   schedule_.rank_of_stage[static_cast<size_t>(action.stage)],
                                   "'s"));
    else if (action.microbatch < 0 || action.microbatch >= schedule_.num_microbatches)
      problems_.push_back(
          c10::str(who, "there are microbatches 0 to ", schedule_.num_microbatches - 1));
    else
      ++counts_[action];
  }

  void check_once(int stage, int microbatch) {
    const auto count = [&](ActionKind kind) { return counts_[{kind, stage, microbatch}]; };
    const bool is_split = count(kBackwardInput) == 1 && count(kBackwardWeight) == 1;
    const bool is_whole = count(kBackward) == 1;
    const int num_backward = count(kBackward) + count(kBackwardInput) + count(kBackwardWeight);
    if (count(kForward) != 1)
      problems_.push_back(c10::str("stage ", stage, ", microbatch ", microbatch, " goes forward ",
                                   count(kForward), " times, not once"));
    if (!(is_split && num_backward == 2) && !(is_whole && num_backward == 1))
      problems_.push_back(c10::str("stage ", stage, ", microbatch ", microbatch,
                                   " needs one B, or one I and one W, and has ", count(kBackward),
                                   " B, ", count(kBackwardInput), " I, ", count(kBackwardWeight),
                                   " W"));
  }

  const Schedule& schedule_;
  std::map<Action, int> counts_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> check_schedule(const Schedule& schedule) {
  return Checker(schedule).check();
}

std::optional<std::string> find_deadlock(const Schedule& schedule, Sends sends) {
  return DryRun(schedule, sends).find_deadlock();
}

std::vector<int> peak_activations(const Schedule& schedule) {
  std::vector<int> peaks;
  for (const std::vector<Action>& actions : schedule.actions) {
    int live = 0, peak = 0;
    for (const Action& action : actions) {
      if (action.kind == kForward) peak = std::max(peak, ++live);
      if (action.kind == kBackward || action.kind == kBackwardWeight) --live;
    }
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace triga
