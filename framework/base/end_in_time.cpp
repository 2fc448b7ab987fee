#include "base/end_in_time.h"

#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <system_error>

namespace triga {
namespace {

std::atomic<int> status_at_the_end = 0;

void end(int /*signal*/) {
  ::_exit(status_at_the_end);
}

void start_timer(std::chrono::milliseconds time) {
  itimerval timer = {};
  timer.it_value.tv_sec = static_cast<time_t>(time.count() / 1000);
  timer.it_value.tv_usec = static_cast<suseconds_t>(time.count() % 1000 * 1000);
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

EndInTime::EndInTime(std::chrono::milliseconds longest, int exit_status) {
  status_at_the_end = exit_status;
  try {
    thread_ = std::thread([this, longest] {
      std::unique_lock lock(mutex_);
      if (!wake_.wait_for(lock, longest, [this] { return is_over_; })) end(0);
    });
  } catch (const std::system_error&) {
    set_timer(longest);
  }
}

EndInTime::~EndInTime() {
  if (!thread_.joinable()) {
    remove_timer();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void EndInTime::set_timer(std::chrono::milliseconds longest) {
  struct sigaction action = {};
  action.sa_handler = end;
  ::sigaction(SIGALRM, &action, &before_);
  sigset_t alarm;  // at least one thread must take it
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &alarm, &mask_before_);
  start_timer(longest);
}

void EndInTime::remove_timer() {
  start_timer(std::chrono::milliseconds(0));
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  ::sigaction(SIGALRM, &before_, nullptr);
}

}  // namespace triga
