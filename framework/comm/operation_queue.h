// OperationQueue: the communication thread of a communicator. It runs operations one after another,
// in the order in which they were started, while the caller computes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace triga {

/// An operation in the queue: what a Work refers to.
class QueuedWork;

class OperationQueue {
 public:
  /// `is_stuck`: asked by those who wait, whether the operation that runs will never return. Must
  /// stay callable as long as a Work of this queue lives.
  /// `waiters`: counts the threads that wait for operations of this queue.
  OperationQueue(std::string name, std::function<bool()> is_stuck,
                 std::shared_ptr<std::atomic<int>> waiters = std::make_shared<std::atomic<int>>(0));
  /// Does not block: operations that did not begin are dropped, and the one that runs must have
  /// been cancelled. Should its thread be stuck nevertheless, it is left behind.
  ~OperationQueue();
  OperationQueue(const OperationQueue&) = delete;
  OperationQueue& operator=(const OperationQueue&) = delete;

  /// A place for an operation that is started later.
  static std::shared_ptr<QueuedWork> prepare();
  static Work work_of(std::shared_ptr<QueuedWork> prepared);

  /// After an operation threw, all later ones fail with the same exception.
  void start(const std::shared_ptr<QueuedWork>& prepared, std::function<void()> operation);

  /// Blocks until everything started is done. Throws what an operation threw.
  void drain();

 private:
  class Shared;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<QueuedWork> last_;
};

}  // namespace triga
