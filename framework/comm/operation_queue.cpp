#include "comm/operation_queue.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace triga {
namespace {
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr auto kPatience = std::chrono::seconds(1);  // with a thread that was told to end

/// One more who waits, as long as it lives.
class CountedWaiter {
 public:
  explicit CountedWaiter(std::atomic<int>& waiters) : waiters_(waiters) { ++waiters_; }
  ~CountedWaiter() { --waiters_; }
  CountedWaiter(const CountedWaiter&) = delete;
  CountedWaiter& operator=(const CountedWaiter&) = delete;

 private:
  std::atomic<int>& waiters_;
};

}  // namespace

class QueuedWork final : public Work::State {
 public:
  void begin(std::function<bool()> is_stuck, std::shared_ptr<std::atomic<int>> waiters) {
    std::lock_guard lock(mutex_);
    is_stuck_ = std::move(is_stuck);
    waiters_ = std::move(waiters);
    started_ = true;
  }

  void finish(std::exception_ptr error) {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
      error_ = std::move(error);
    }
    changed_.notify_all();
  }

  void wait() override { synchronize(); }

  void synchronize() override {
    std::unique_lock lock(mutex_);
    TRIGA_CHECK(started_, "wait() for an operation of a group before end_group()");
    const CountedWaiter counted(*waiters_);
    while (!changed_.wait_for(lock, kLookEvery, [this] { return done_; }))
      if (is_stuck_())
        throw CommError(
            "an operation is past its deadline and its communication thread does not come back");
    if (error_) std::rethrow_exception(error_);
  }

  bool is_done() const override {
    std::lock_guard lock(mutex_);
    return done_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<bool()> is_stuck_;
  std::shared_ptr<std::atomic<int>> waiters_;
  std::exception_ptr error_;
  bool started_ = false;
  bool done_ = false;
};

// Owned by the queue and by its thread, which may outlive the queue.
class OperationQueue::Shared {
 public:
  Shared(std::function<bool()> is_stuck, std::shared_ptr<std::atomic<int>> waiters)
      : is_stuck(std::move(is_stuck)), waiters(std::move(waiters)) {}

  // The thread.
  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stop || !entries.empty(); });
      if (stop) break;
      auto entry = std::move(entries.front());
      entries.pop_front();
      lock.unlock();
      if (!error) error = run_one(entry.operation);
      entry.work->finish(error);
      entry = {};  // gives back its tensors now, not when the next operation comes
      lock.lock();
    }
    for (auto& entry : entries)
      entry.work->finish(std::make_exception_ptr(
          CommError("an operation was given up: its communicator was destroyed")));
    entries.clear();
    ended = true;
    changed.notify_all();
  }

  struct Entry {
    std::shared_ptr<QueuedWork> work;
    std::function<void()> operation;
  };

  const std::function<bool()> is_stuck;
  const std::shared_ptr<std::atomic<int>> waiters;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Entry> entries;
  bool stop = false;
  bool ended = false;
  std::exception_ptr error;  // of the thread only
  std::thread thread;

 private:
  static std::exception_ptr run_one(const std::function<void()>& operation) {
    try {
      operation();
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }
};

OperationQueue::OperationQueue(std::string name, std::function<bool()> is_stuck,
                               std::shared_ptr<std::atomic<int>> waiters)
    : shared_(std::make_shared<Shared>(std::move(is_stuck), std::move(waiters))) {
  shared_->thread = std::thread([shared = shared_, name = name.substr(0, 15)] {
    pthread_setname_np(pthread_self(), name.c_str());
    shared->run();
  });
}

OperationQueue::~OperationQueue() {
  std::unique_lock lock(shared_->mutex);
  shared_->stop = true;
  shared_->changed.notify_all();
  const bool ended = shared_->changed.wait_for(lock, kPatience, [this] { return shared_->ended; });
  lock.unlock();
  if (ended)
    shared_->thread.join();
  else
    shared_->thread.detach();
}

std::shared_ptr<QueuedWork> OperationQueue::prepare() {
  return std::make_shared<QueuedWork>();
}

Work OperationQueue::work_of(std::shared_ptr<QueuedWork> prepared) {
  return Work(std::move(prepared));
}

void OperationQueue::start(const std::shared_ptr<QueuedWork>& prepared,
                           std::function<void()> operation) {
  prepared->begin(shared_->is_stuck, shared_->waiters);
  {
    std::lock_guard lock(shared_->mutex);
    shared_->entries.push_back({prepared, std::move(operation)});
  }
  shared_->changed.notify_all();
  last_ = prepared;
}

void OperationQueue::drain() {
  if (last_) last_->synchronize();
}

}  // namespace triga
