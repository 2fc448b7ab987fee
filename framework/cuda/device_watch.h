// DeviceWatch: looks after operations that run on a device, where nobody waits for them with a
// deadline: a thread that sees them end, or gives them up, so that a host that waits for the device
// comes back.
#pragma once

#include <c10/cuda/CUDAEvent.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "triga/error.h"

namespace triga {

/// Threads: any thread may call.
class DeviceWatch {
 public:
  struct Actions {
    /// Why what is under way cannot end; asked about ten times a second.
    std::function<std::optional<std::string>()> find_failure;
    /// Makes what is under way end, for this reason: kCommunication, or kInternal where the device
    /// itself failed. Called at most once.
    std::function<void(const std::string& reason, ExitStatus status)> give_up;
  };

  explicit DeviceWatch(Actions actions);
  ~DeviceWatch();
  DeviceWatch(const DeviceWatch&) = delete;
  DeviceWatch& operator=(const DeviceWatch&) = delete;

  struct Callbacks {  // in another thread
    /// Why it may not be done, in words; asked after the deadline.
    std::function<std::string()> missing;
    /// It has ended; called within about 100 ms, under a lock of the watch. Throws nothing.
    std::function<void()> ended;
  };
  /// `end`: recorded behind the operation. Operations end in the order in which they are added.
  void add(std::string name, std::shared_ptr<c10::cuda::CUDAEvent> end,
           std::chrono::milliseconds deadline, Callbacks callbacks);

  /// Waits for no operation; the actions are not called any more.
  void stop();

  /// Throws: CommError with the reason when something was given up; Error when the device failed.
  void check() const;
  /// Blocks the host until `end` has come. Throws: as check().
  void await(const c10::cuda::CUDAEvent& end) const;

 private:
  struct Operation {
    std::string name;
    std::shared_ptr<c10::cuda::CUDAEvent> end;
    std::chrono::steady_clock::time_point deadline;
    std::chrono::milliseconds allowed;
    Callbacks callbacks;
  };

  void run();
  /// `operation`: the first that is under way; nothing: all have ended.
  std::optional<std::string> find_problem(const std::optional<Operation>& operation) const;

  const Actions actions_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Operation> operations_;
  std::optional<std::string> reason_;  // why everything was given up
  bool has_device_failed_ = false;
  bool is_stopped_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace triga
