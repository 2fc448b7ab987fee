#include "cuda/device_watch.h"

#include <c10/util/Exception.h>

#include <utility>

#include "triga/error.h"

namespace triga {
namespace {

constexpr auto kPause = std::chrono::milliseconds(100);

}  // namespace

DeviceWatch::DeviceWatch(Actions actions)
    : actions_(std::move(actions)), thread_([this] { run(); }) {}

DeviceWatch::~DeviceWatch() {
  stop();
}

void DeviceWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  operations_.clear();  // what their callbacks keep alive may go
}

void DeviceWatch::add(std::string name, std::shared_ptr<c10::cuda::CUDAEvent> end,
                      std::chrono::milliseconds deadline, Callbacks callbacks) {
  {
    const std::lock_guard lock(mutex_);
    operations_.push_back({std::move(name), std::move(end),
                           std::chrono::steady_clock::now() + deadline, deadline,
                           std::move(callbacks)});
  }
  changed_.notify_all();
}

void DeviceWatch::check() const {
  const std::lock_guard lock(mutex_);
  if (reason_ && has_device_failed_) throw Error(*reason_);
  if (reason_) throw CommError(*reason_);
}

void DeviceWatch::await(const c10::cuda::CUDAEvent& end) const {
  for (int looks = 0; !end.query(); ++looks) {
    check();
    if (looks < 1000)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  check();
}

std::optional<std::string> DeviceWatch::find_problem(
    const std::optional<Operation>& operation) const {
  try {
    if (const auto failure = actions_.find_failure()) return failure;
    if (operation && std::chrono::steady_clock::now() > operation->deadline)
      return c10::str(operation->name, " is not done after ", operation->allowed.count() / 1000,
                      " s: ", operation->callbacks.missing());
  } catch (const std::exception& error) {
    return error.what();
  }
  return std::nullopt;
}

void DeviceWatch::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopped_) {
    changed_.wait(lock, [this] { return is_stopped_ || !operations_.empty(); });
    changed_.wait_for(lock, kPause, [this] { return is_stopped_; });
    if (is_stopped_) return;
    std::optional<std::string> problem;
    try {
      while (!operations_.empty() && operations_.front().end->query()) {
        operations_.front().callbacks.ended();
        operations_.pop_front();
      }
    } catch (const c10::Error& error) {  // the device itself failed
      problem = c10::str("the device failed: ", error.what_without_backtrace());
      has_device_failed_ = true;
    }
    std::optional<Operation> first;  // also where all have ended: with what, is not known yet
    if (!operations_.empty()) first = operations_.front();
    lock.unlock();
    if (!problem) problem = find_problem(first);
    lock.lock();
    if (!problem) continue;
    reason_ = problem;
    const ExitStatus status =
        has_device_failed_ ? ExitStatus::kInternal : ExitStatus::kCommunication;
    lock.unlock();
    actions_.give_up(*problem, status);
    return;
  }
}

}  // namespace triga
