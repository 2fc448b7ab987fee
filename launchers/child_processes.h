// Processes that a process of ours started here.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace triga {

/// By its number and when it began: numbers are used again.
struct ChildProcess {
  pid_t pid;
  std::string start_ticks;
};

/// Of `pid`, its own children alone, those that are not dead.
std::vector<ChildProcess> living_children(pid_t pid);

/// Those that still live, each with its process group, if it leads one.
void kill_all(const std::vector<ChildProcess>& processes);

}  // namespace triga
