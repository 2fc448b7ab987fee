// Prefetcher: makes batches ahead in a thread of its own, so that train_step finds them ready.
// Knows nothing of datasets: it calls a function and keeps what that gives in order. The loaders
// stand on it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "triga/batch.h"

namespace triga {

class Prefetcher {
 public:
  using Item = std::vector<Batch>;

  /// `produce` is called in the prefetch thread, without gradient mode, until it gives nothing or
  /// throws; at most `capacity` items are kept. Requires: capacity > 0.
  Prefetcher(std::function<std::optional<Item>()> produce, size_t capacity);
  /// Waits for the call of `produce` that is under way, and for no other.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next item; nothing after the last one. Throws: what `produce` threw, after the items made
  /// before, and again at every later call. One thread at a time.
  std::optional<Item> next();

  /// Time that the caller of next() spent waiting, in total.
  double seconds_waited() const { return seconds_waited_; }

 private:
  void run();

  const std::function<std::optional<Item>()> produce_;
  const size_t capacity_;
  double seconds_waited_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::exception_ptr error_;
  bool is_finished_ = false;  // the thread adds nothing more
  bool is_stopped_ = false;   // nobody wants more

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace triga
