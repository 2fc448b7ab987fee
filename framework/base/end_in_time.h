// EndInTime: a process that is ending, whatever blocks. A last report goes to disks that may be
// gone and terminals that may be stopped, and asks threads that may hold the loader's lock for
// their stacks; so a thread of its own ends the process with its status when that takes too long. Where
// none can be had, the kernel's timer does, unless the first thread sleeps where no signal wakes it.
//
// It is the one place in the library that ends a process: a thread that blocks cannot throw.
#pragma once

#include <signal.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace triga {

class EndInTime {
 public:
  /// From now on the process lives for `longest` at most, and ends with this status then, without
  /// words. One at a time in a process; may use SIGALRM.
  EndInTime(std::chrono::milliseconds longest, int exit_status);
  /// It need not end.
  ~EndInTime();
  EndInTime(const EndInTime&) = delete;
  EndInTime& operator=(const EndInTime&) = delete;

 private:
  void set_timer(std::chrono::milliseconds longest);
  void remove_timer();

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_over_ = false;
  std::thread thread_;  // none: the timer is used
  struct sigaction before_ = {};
  sigset_t mask_before_ = {};  // of the thread that made it
};

}  // namespace triga
