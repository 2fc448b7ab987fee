#include "trainer/save_watch.h"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

namespace triga {

std::string who_has_not_saved(double num_done, double sum_of_ranks, int num_ranks) {
  const int num_missing = num_ranks - static_cast<int>(num_done);
  if (num_missing <= 0) return "";
  if (num_missing > 1)
    return fmt::format("{} of {} ranks have not written their parts", num_missing, num_ranks);
  const double sum_of_all = 0.5 * num_ranks * (num_ranks - 1);
  return fmt::format("rank {} has not written its part",
                     static_cast<int>(sum_of_all - sum_of_ranks));
}

SaveWatch::SaveWatch(std::chrono::milliseconds patience, Say say)
    : patience_(patience), say_(std::move(say)) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "triga-saves");
    run();
  });
}

SaveWatch::~SaveWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void SaveWatch::begin(int64_t step) {
  {
    const std::lock_guard lock(mutex_);
    save_ = Save{step, Clock::now(), patience_, ""};
  }
  wake_.notify_all();
}

void SaveWatch::heard(std::string who_has_not) {
  const std::lock_guard lock(mutex_);
  if (save_) save_->who_has_not = std::move(who_has_not);
}

void SaveWatch::end() {
  const std::lock_guard lock(mutex_);
  save_.reset();
}

void SaveWatch::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (!save_) {
      wake_.wait(lock);
      continue;
    }
    const Clock::time_point due = save_->began_at + save_->next;
    if (Clock::now() < due) {
      wake_.wait_until(lock, due);
      continue;
    }
    save_->next *= 2;
    const std::chrono::duration<double> age = Clock::now() - save_->began_at;
    const std::string warning = fmt::format(
        "the checkpoint of step {} is still not there after {:.3g} s{}{}. Older ones stay, and no "
        "other is begun before it. Look whether the disk of the run's folder answers",
        save_->step, age.count(), save_->who_has_not.empty() ? "" : ": ", save_->who_has_not);
    lock.unlock();
    say_(warning);
    lock.lock();
  }
}

}  // namespace triga
