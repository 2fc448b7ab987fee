// GracePeriod: whether a job is given enough time, from the signal that asks it to stop to its end by
// force, for the step that is under way and the save after it.
#pragma once

#include <optional>
#include <string>

namespace triga {

class GracePeriod {
 public:
  /// `seconds`: what the job is given; nothing: not known.
  explicit GracePeriod(std::optional<double> seconds) : seconds_(seconds) {}

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

  const std::optional<double> seconds_;
  double longest_step_ = 0, longest_save_ = 0, warned_of_ = 0;
  int num_saves_ = 1;  // between a signal and the end
};

}  // namespace triga
