#include "trainer/grace_period.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace triga {

void GracePeriod::step_took(double seconds) {
  longest_step_ = std::max(longest_step_, seconds);
}

void GracePeriod::save_took(double seconds, bool in_background) {
  longest_save_ = std::max(longest_save_, seconds);
  if (in_background) num_saves_ = 2;
}

std::string GracePeriod::take_warning() {
  constexpr double kWorse = 1.25;
  const double needed = longest_end();
  if (!seconds_ || longest_save_ == 0 || needed <= *seconds_ || needed < kWorse * warned_of_)
    return "";
  warned_of_ = needed;
  const std::string need = fmt::format(
      "and may need {:.1f} s: two steps of {:.1f} s, {} of {:.1f} s. What is not saved by then is "
      "trained again",
      needed, longest_step_, num_saves_ == 1 ? "a save" : "the save under way and a last one",
      longest_save_);
  if (signal_ == Signal::kOfTheEnd)
    return fmt::format(
        "a job that is cancelled, requeued or preempted has {:g} s until its ranks are killed "
        "(Slurm: KillWait), {}, from the newest checkpoint: checkpoint.every_minutes says how "
        "old that may be",
        *seconds_, need);
  const double enough = std::ceil(kWorse * needed / 10) * 10;
  return fmt::format(
      "the job has {:g} s from a signal to its end, {}. Give it more: "
      "launch.save_before_seconds: {:g} (in a script of your own: --signal=B:USR1@{:g} and "
      "TRIGA_GRACE_SECONDS={:g})",
      *seconds_, need, enough, enough, enough);
}

}  // namespace triga
