// StepClock: what a rank's own time in a step goes to, without the time in which it waits for other
// ranks: in a run where all wait for each other, only that tells who is slow.
//
//   clock.enter(Phase::kData) ... clock.enter(Phase::kForward) ... clock.enter(Phase::kUpdate) ...
//   clock.end_step(num_microbatches)
#pragma once

#include <atomic>
#include <chrono>

#include "base/trace.h"
#include "comm/progress.h"
#include "trainer/rank_record.h"

namespace triga {

/// The thread that trains calls it; any thread may ask for work().
class StepClock {
 public:
  /// Both must outlive it. Waits are those of `trace`.
  StepClock(const Trace& trace, Progress& progress) : trace_(trace), progress_(progress) {}

  /// The time from now on belongs to `phase`: kData, kForward (all of forward and backward),
  /// kUpdate; kOther: to none.
  void enter(Phase phase);
  /// The step is over. `num_microbatches`: of this rank, with samples.
  void end_step(int64_t num_microbatches);
  /// The time from now on is that of a checkpoint, until enter().
  void enter_save();

  OwnWork work() const;

 private:
  using Clock = std::chrono::steady_clock;
  enum Kind { kNone, kData, kCompute, kUpdate, kSave, kNumKinds };
  void change(Kind kind);

  const Trace& trace_;
  Progress& progress_;
  Kind kind_ = kNone;
  Clock::time_point since_ = Clock::now();
  int64_t waited_before_ns_ = 0;
  std::atomic<int64_t> own_ns_[kNumKinds] = {};
  std::atomic<int64_t> num_steps_{0}, num_microbatches_{0};
};

}  // namespace triga
