// StartWatch: notices that MPI does not start. Until the world is there no rank can see another, and
// MPI waits for a rank that does not come (stopped, or on a host that nobody reaches) without an
// end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace triga {

class StartWatch {
 public:
  /// Unless it is destroyed within `limit`, `on_late` is called with what is to be said, in a thread
  /// of its own: it ends the process, since the one that waits cannot be woken.
  StartWatch(std::chrono::milliseconds limit,
             const std::function<void(const std::string& problem)>& on_late);
  ~StartWatch();
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_over_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace triga
