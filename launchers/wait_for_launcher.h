// Waits for mpirun, also for one that does not come back.
#pragma once

#include <chrono>
#include <functional>

#include "base/child_process.h"

namespace triga {

struct LauncherPatience {
  /// After all processes that it had started are gone, and the run lives nowhere else: then it is
  /// killed. mpirun of Open MPI 4.1 now and then waits for itself for ever after a rank was killed (a
  /// lock in PMIx's finalisation).
  std::chrono::milliseconds without_ranks = std::chrono::seconds(10);
  /// After the run has said its last word: then it is asked to end (SIGTERM), which ends ranks. One
  /// that was stopped on its way out is in nobody's sight any more.
  std::chrono::milliseconds after_the_end = std::chrono::seconds(60);
  /// Then it is killed: it waits for a host that is out of reach.
  std::chrono::milliseconds after_sigterm = std::chrono::seconds(10);
};

/// What can be seen of the run; asked every few seconds.
struct RunSigns {
  std::function<bool()> has_ended;  // it has said its last word
  /// A rank lives, on whatever host: started by an ssh that did not wait for it.
  std::function<bool()> is_alive = [] { return false; };
  /// Told several times a second: how many processes live that the launcher started, on this host.
  std::function<void(size_t num_processes)> count = [](size_t) {};
};

/// The exit status of a child process that starts ranks; 128 and the signal that ended it. Throws:
/// Error.
int wait_for_launcher(ChildProcess& launcher, const RunSigns& run,
                      const LauncherPatience& patience = {});

}  // namespace triga
