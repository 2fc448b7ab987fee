// GracePeriod: whether a job is given enough time, from a signal to its end by force, for the steps
// that are under way and the save after them.
#pragma once

#include <optional>
#include <string>

namespace triga {

/// What is known of the job that a run is in; nothing: not known.
struct JobTimes {
  std::optional<double> grace_seconds;      // from the signal before its end to its end by force
  std::optional<double> kill_wait_seconds;  // from SIGTERM to SIGKILL, where it is cancelled
};

class GracePeriod {
 public:
  enum class Signal {
    kBeforeTheEnd,  // sent early enough, as launch.save_before_seconds says
    kOfTheEnd,      // of scancel, a requeue, preemption: SIGKILL follows by a clock of the site's
  };
  /// `seconds`: what the job is given; nothing: not known.
  GracePeriod(Signal signal, std::optional<double> seconds) : signal_(signal), seconds_(seconds) {}

  void step_took(double seconds);
  /// `in_background`: one may be under way when the signal comes, and is waited for.
  void save_took(double seconds, bool in_background);

  /// What to tell the user, if the time does not suffice: once, and again when it has become worse
  /// by a quarter. "": nothing.
  std::string take_warning();

 private:
  /// Ranks tell each other of a signal as a step begins: one that comes just after waits for the end
  /// of the next one.
  double longest_end() const { return 2 * longest_step_ + num_saves_ * longest_save_; }

  const Signal signal_;
  const std::optional<double> seconds_;
  double longest_step_ = 0, longest_save_ = 0, warned_of_ = 0;
  int num_saves_ = 1;  // between a signal and the end
};

}  // namespace triga
