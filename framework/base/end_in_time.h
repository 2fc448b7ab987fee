// EndInTime: a process that is ending, whatever blocks. A last report goes to disks that may be
// gone and terminals that may be stopped, and asks threads that may hold the loader's lock for
// their stacks; so the kernel's timer ends the process with its status when that takes too long.
//
// It is the one place in the library that ends a process: a thread that blocks cannot throw.
#pragma once

#include <signal.h>

#include <chrono>

namespace triga {

class EndInTime {
 public:
  /// From now on the process lives for `longest` at most, and ends with this status then, without
  /// words. One at a time in a process; uses SIGALRM.
  EndInTime(std::chrono::milliseconds longest, int exit_status);
  /// It need not end.
  ~EndInTime();
  EndInTime(const EndInTime&) = delete;
  EndInTime& operator=(const EndInTime&) = delete;

 private:
  struct sigaction before_ = {};
  sigset_t mask_before_ = {};  // of the thread that made it
};

}  // namespace triga
