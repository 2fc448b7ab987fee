#include "trainer/step_clock.h"

#include <algorithm>

namespace triga {

void StepClock::change(Kind kind) {
  const auto now = Clock::now();
  const int64_t waited_ns = trace_.waited_ns();
  const int64_t passed_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - since_).count();
  own_ns_[kind_] += std::max<int64_t>(0, passed_ns - (waited_ns - waited_before_ns_));
  kind_ = kind;
  since_ = now;
  waited_before_ns_ = waited_ns;
}

void StepClock::enter(Phase phase) {
  change(phase == Phase::kData      ? kData
         : phase == Phase::kForward ? kCompute
         : phase == Phase::kUpdate  ? kUpdate
                                    : kNone);
  progress_.set_doing({phase});
}

void StepClock::enter_save() {
  change(kSave);
}

void StepClock::end_step(int64_t num_microbatches) {
  enter(Phase::kOther);
  num_microbatches_ += num_microbatches;
  ++num_steps_;
}

OwnWork StepClock::work() const {
  const auto seconds = [&](Kind kind) { return static_cast<double>(own_ns_[kind]) * 1e-9; };
  return {num_steps_,        num_microbatches_, seconds(kData),
          seconds(kCompute), seconds(kUpdate),  seconds(kSave)};
}

}  // namespace triga
