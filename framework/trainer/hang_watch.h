// HangWatch: a thread that sees when this rank does nothing any more: a disk that is gone, a lock
// that nobody gives back. Ranks that wait for it would only find that it is missing; it says itself
// where it is. Movement is what the rank tells its progress (progress.h): each layer of a
// microbatch, each operation.
//
// A rank that waits for others is their affair: the deadline of its operation ends it, and only if
// that does not happen, this does. Time in which the whole process was stopped (by a signal, with
// its job, with the machine) does not count.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/trace.h"
#include "comm/progress.h"

namespace triga {

class HangWatch {
 public:
  /// Called in the thread of the watch, at most once, a little before `timeout`, after which others
  /// give up waiting for this rank. `cause`: what is to be said, a line. `stacks()`: what the
  /// threads of the process do, in lines; asking may block for ever (a thread may hold the loader's
  /// lock).
  using OnHang =
      std::function<void(const std::string& cause, const std::function<std::string()>& stacks)>;
  /// The references must outlive the watch.
  HangWatch(const Progress& progress, const Trace& trace, std::chrono::milliseconds timeout,
            OnHang on_hang);
  ~HangWatch();
  /// The trainer begins. Before, waiting for others is not told from standing still (links are
  /// measured, buckets, NCCL opened), so that their deadlines go first.
  void begin_steps() { has_begun_ = true; }
  HangWatch(const HangWatch&) = delete;
  HangWatch& operator=(const HangWatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  void run();
  /// How long nothing may move, as things are.
  std::chrono::milliseconds limit() const;
  std::string cause(Clock::duration still) const;

  const Progress& progress_;
  const Trace& trace_;
  const std::chrono::milliseconds timeout_;
  const OnHang on_hang_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::atomic<bool> has_begun_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace triga
