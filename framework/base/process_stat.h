// What the kernel says of a process or a thread (man 5 proc, /proc/PID/stat).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace triga {

struct ProcessStat {
  char state = '?';  // 'R' runs, 'D' waits in the kernel, 'T' stopped, 't' by a debugger, 'Z' dead
  int64_t parent = 0;
  std::string start_ticks;  // from boot to its start: with the id it names a process for good

  /// By SIGSTOP or a debugger: it lives and does nothing.
  bool is_stopped() const { return state == 'T' || state == 't'; }
  /// Its parent has not asked for its status yet (a container whose first process never does keeps
  /// such).
  bool is_dead() const { return state == 'Z' || state == 'X'; }
};

/// `folder`: /proc/PID, or /proc/PID/task/TID. Nothing: there is no such process.
std::optional<ProcessStat> read_process_stat(const std::filesystem::path& folder);
std::optional<ProcessStat> read_process_stat(int64_t pid);

}  // namespace triga
