// Waits for mpirun, also for one that does not come back.
#pragma once

#include <sys/types.h>

#include <chrono>

namespace triga {

/// The exit status of a child process that starts ranks; 128 and the signal that ended it. When all
/// processes that it had started are gone for so long and it is still there, it is ended: mpirun of
/// Open MPI 4.1 now and then waits for itself for ever after a rank was killed (a lock in PMIx's
/// finalisation). Throws: Error.
int wait_for_launcher(pid_t pid, std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace triga
