#include "launchers/stop_signals.h"

#include <signal.h>
#include <time.h>

namespace triga {
namespace {

int64_t nanoseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

bool is_ignored(int signal) {
  struct sigaction action = {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void catch_stop_signals(void (*handler)(int signal)) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    if (signal == SIGHUP && is_ignored(signal)) continue;
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

int StopRequests::count() {
  // 0 for one caller only, also where two threads come at once.
  const int64_t now = nanoseconds(), before = last_.exchange(now);
  if (before != 0 && now - before < kOneRequestNanoseconds) return 0;
  return ++number_;
}

}  // namespace triga
