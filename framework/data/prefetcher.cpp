// One producer, one consumer, a bounded queue.
#include "data/prefetcher.h"

#include <ATen/core/grad_mode.h>

#include <chrono>
#include <utility>

#include "triga/error.h"

namespace triga {

Prefetcher::Prefetcher(std::function<std::optional<Item>()> produce, size_t capacity)
    : produce_(std::move(produce)), capacity_(capacity) {
  TRIGA_CHECK(capacity > 0, "a prefetcher that keeps nothing");
  thread_ = std::thread([this] { run(); });
}

Prefetcher::~Prefetcher() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<Prefetcher::Item> Prefetcher::next() {
  std::unique_lock lock(mutex_);
  if (items_.empty() && !is_finished_) {
    const auto start = std::chrono::steady_clock::now();
    changed_.wait(lock, [this] { return !items_.empty() || is_finished_; });
    seconds_waited_ +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  if (items_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return std::nullopt;
  }
  Item item = std::move(items_.front());
  items_.pop_front();
  lock.unlock();
  changed_.notify_all();
  return item;
}

void Prefetcher::run() {
  // Not inference mode: its tensors cannot be saved for a backward pass.
  at::NoGradGuard no_grad;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_stopped_ || items_.size() < capacity_; });
    if (is_stopped_) return;
    lock.unlock();
    std::optional<Item> item;
    std::exception_ptr error;
    try {
      item = produce_();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (item) {
      items_.push_back(std::move(*item));
    } else {
      error_ = error;
      is_finished_ = true;
    }
    changed_.notify_all();
    if (is_finished_) return;
  }
}

}  // namespace triga
