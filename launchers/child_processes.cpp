#include "launchers/child_processes.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "base/process_stat.h"

namespace triga {

std::vector<ChildProcess> living_children(pid_t pid) {
  std::vector<ChildProcess> children;
  std::error_code error;  // entries of /proc go while they are listed
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto stat = read_process_stat(it->path());
    if (stat && stat->parent == pid && !stat->is_dead())
      children.push_back({std::stoi(name), stat->start_ticks});
  }
  return children;
}

void kill_all(const std::vector<ChildProcess>& processes) {
  for (const ChildProcess& process : processes)
    if (const auto stat = read_process_stat(process.pid);
        stat && stat->start_ticks == process.start_ticks)
      ::kill(::getpgid(process.pid) == process.pid ? -process.pid : process.pid, SIGKILL);
}

}  // namespace triga
