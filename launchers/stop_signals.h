// Signals that ask a run to save and stop.
#pragma once

#include <atomic>
#include <cstdint>

namespace triga {

/// Calls `handler` for SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2; but SIGHUP stays ignored where
/// it is: who starts a program with nohup wants it to outlive the terminal. SIGPIPE and SIGXFSZ are
/// ignored: that nobody reads what is printed ends no run, and a limit of file sizes (ulimit -f) is an
/// error of the write that meets it.
void catch_stop_signals(void (*handler)(int signal));

/// Counts requests. Schedulers and `timeout` send one signal to a launcher and to all that it
/// started, so that a process gets it several times at once: that is one request. A person's second
/// Ctrl-C comes later.
class StopRequests {
 public:
  /// For the handler (async-signal-safe): a signal came. Its number from 1 on; 0: of the last request.
  int count();
  int number() const { return number_; }

 private:
  static constexpr int64_t kOneRequestNanoseconds = 200'000'000;
  std::atomic<int> number_ = 0;
  std::atomic<int64_t> last_ = 0;
};

}  // namespace triga
