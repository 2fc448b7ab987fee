// Restarts: starts a run again after it lost a rank or a host (launch.max_restarts), but only where
// that has helped: when steps were gained since the last start.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>

#include "base/files.h"
#include "trainer/run_directory.h"
#include "triga/error.h"

namespace triga {

/// Steps that a run has done, by its status or its newest checkpoint, whichever is later; 0: none.
/// Throws: FileError.
int64_t reached_step(FileSystem& files, const RunDirectory& directory);

class Restarts {
 public:
  struct Options {
    int64_t limit = 0;                                                // how many at most
    std::chrono::milliseconds first_pause = std::chrono::seconds(5);  // doubled each time
    std::chrono::milliseconds longest_pause = std::chrono::minutes(5);
    /// How long a holder of the run's folder on another host may give no sign of life before it is
    /// taken for dead.
    std::chrono::milliseconds lease_expiry = std::chrono::seconds(75);
  };

  /// `is_cancelled`: whether to wait no longer and give up. What happens is said to `out`.
  Restarts(FileSystem& files, RunDirectory directory, const Options& options,
           std::function<bool()> is_cancelled, std::ostream& out);

  /// A start ended with `status`. True: start again, after the pause that was made and when the
  /// folder is free. Throws: FileError.
  bool again(ExitStatus status);

 private:
  /// A lost peer, or a crash, which may be the host's fault.
  bool can_be_of_a_host(ExitStatus status) const;
  bool pause(std::chrono::milliseconds duration, const std::function<bool()>& is_over);

  FileSystem& files_;
  const RunDirectory directory_;
  const Options options_;
  const std::function<bool()> is_cancelled_;
  std::ostream& out_;
  int64_t num_restarts_ = 0, step_;
};

}  // namespace triga
