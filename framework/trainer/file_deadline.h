// FileDeadline: while it lives, ranks wait longer for each other, and for themselves: for one that
// reads or writes a large checkpoint on a slow disk. That a rank died is noticed at once all the
// same where ranks see each other; that it is stopped, or that its host is gone, after the usual
// time.
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>

#include "comm/communicator.h"
#include "config/experiment.h"

namespace triga {

inline std::chrono::milliseconds communication_timeout(const Experiment& experiment) {
  return std::chrono::milliseconds(
      static_cast<int64_t>(experiment.parallel.communication_timeout * 1000));
}

class FileDeadline {
 public:
  /// `usual`: the deadline that is set again at the end. Of any group; several may live at a time.
  FileDeadline(Communicator& world, std::chrono::milliseconds usual)
      : world_(world), usual_(usual), patience_before_(world.progress().patience()) {
    const auto longer = std::max<std::chrono::milliseconds>(usual, std::chrono::hours(2));
    world_.set_deadline(longer);
    world_.progress().set_patience(longer);
  }
  ~FileDeadline() {
    world_.set_deadline(usual_);
    world_.progress().set_patience(patience_before_);
  }
  FileDeadline(const FileDeadline&) = delete;
  FileDeadline& operator=(const FileDeadline&) = delete;

 private:
  Communicator& world_;
  const std::chrono::milliseconds usual_;
  const std::chrono::milliseconds patience_before_;
};

/// What `action` returns, which reads files that may be large, once every rank is done with its
/// own: one that has them in memory waits for one that has not. Collective.
template <class Action>
auto at_the_pace_of_files(Communicator& world, std::chrono::milliseconds usual,
                          std::string_view what, const Action& action) {
  const FileDeadline patience(world, usual);
  auto result = action();
  world.barrier(what);
  return result;
}

}  // namespace triga
