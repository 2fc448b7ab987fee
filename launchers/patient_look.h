// PatientLook: looks at a run's folder that may be away for a while: a shared file system that fails
// over, a file that another host just replaced. What cannot be read now says nothing of the run.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/files.h"
#include "triga/error.h"

namespace triga {

class PatientLook {
 public:
  using Clock = std::chrono::steady_clock;

  /// `patience`: after which a folder that cannot be read is given up.
  explicit PatientLook(std::chrono::milliseconds patience = std::chrono::seconds(60),
                       std::chrono::milliseconds pause = std::chrono::milliseconds(500))
      : patience_(patience), pause_(pause) {}

  /// What could not be read before does not count any more.
  void begin() { unread_since_.reset(); }

  /// What `look` returns; nothing: it threw an Error.
  template <class Look>
  auto once(const Look& look) -> std::optional<decltype(look())> {
    try {
      std::optional<decltype(look())> found(std::in_place, look());
      unread_since_.reset();
      return found;
    } catch (const Error& error) {
      note(error);
      return std::nullopt;
    }
  }

  /// The same, asked again while that may help: until the folder is given up, or `is_cancelled`. The
  /// time in which it could not be read before counts.
  template <class Look>
  auto until_read(const Look& look, const std::function<bool()>& is_cancelled)
      -> std::optional<decltype(look())> {
    while (true) {
      if (auto found = once(look)) return found;
      if (!is_passing_ || is_given_up() || is_cancelled()) return std::nullopt;
      std::this_thread::sleep_for(pause_);
    }
  }

  /// Nothing could be read for longer than the patience.
  bool is_given_up() const { return unread_since_ && Clock::now() - *unread_since_ > patience_; }
  /// Why not, the last time.
  const std::string& problem() const { return problem_; }

  /// Whether what failed with this errno may succeed later; a missing right, or a path that leads
  /// nowhere, stays as it is.
  static bool may_pass(int code);

 private:
  void note(const Error& error);

  const std::chrono::milliseconds patience_, pause_;
  std::optional<Clock::time_point> unread_since_;
  bool is_passing_ = false;
  std::string problem_;
};

}  // namespace triga
