// StartWatch: ends this process when MPI does not start. Until the world is there no rank can see
// another, and MPI waits for a rank that does not come (stopped, or on a host that nobody reaches)
// without an end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace triga {

class StartWatch {
 public:
  /// Unless it is destroyed within `limit`, it says so and ends the process with status 6.
  explicit StartWatch(std::chrono::milliseconds limit);
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
