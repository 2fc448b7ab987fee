// run_beside: work in a thread of its own, if there is one to be had. A system that has too many of
// them (a limit of processes, of a control group) makes a save slower, it does not end a run.
#pragma once

#include <atomic>
#include <future>
#include <system_error>
#include <utility>

#include "triga/log.h"

namespace triga {

/// Once a process: a large file asks again and again.
inline void warn_of_missing_thread(const std::system_error& error) {
  static std::atomic<bool> is_said = false;
  if (!is_said.exchange(true))
    log_warning("files", "no thread can be started to work beside (", error.what(),
                "); what would go on waits");
}

/// What `action` returns or throws. It has run already where no thread could be started. As of
/// std::async, the destructor of the result waits for the thread.
template <class Action>
auto run_beside(Action action) -> std::future<decltype(action())> {
  try {
    return std::async(std::launch::async, action);
  } catch (const std::system_error& error) {
    warn_of_missing_thread(error);
  }
  std::packaged_task<decltype(action())()> task(std::move(action));
  auto result = task.get_future();
  task();
  return result;
}

}  // namespace triga
