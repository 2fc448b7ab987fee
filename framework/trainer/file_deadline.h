// FileDeadline: while it lives, ranks wait longer for each other, and for themselves: for one that
// reads or writes a large checkpoint on a slow disk. That a rank died is noticed at once all the
// same where ranks see each other, and that it is stopped after the usual time.
#pragma once

#include <chrono>

#include "comm/communicator.h"
#include "config/experiment.h"

namespace triga {

inline std::chrono::milliseconds communication_timeout(const Experiment& experiment) {
  return std::chrono::milliseconds(
      static_cast<int64_t>(experiment.parallel.communication_timeout * 1000));
}

class FileDeadline {
 public:
  /// `usual`: what is set again at the end.
  FileDeadline(Communicator& world, std::chrono::milliseconds usual)
      : world_(world), usual_(usual) {
    const auto longer = std::max<std::chrono::milliseconds>(usual, std::chrono::hours(2));
    world_.set_deadline(longer);
    world_.progress().set_patience(longer);
  }
  ~FileDeadline() {
    world_.set_deadline(usual_);
    world_.progress().set_patience(std::chrono::milliseconds(0));
  }
  FileDeadline(const FileDeadline&) = delete;
  FileDeadline& operator=(const FileDeadline&) = delete;

 private:
  Communicator& world_;
  const std::chrono::milliseconds usual_;
};

}  // namespace triga
