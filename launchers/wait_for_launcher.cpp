#include "launchers/wait_for_launcher.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/process_stat.h"
#include "triga/error.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kLookEvery = std::chrono::milliseconds(250);
constexpr int kLooksPerQuestion = 8;  // whether the run has ended: a file, maybe far away

/// A process by its number and when it began: numbers are used again.
struct Child {
  pid_t pid;
  std::string start_ticks;
};

std::vector<Child> living_children(pid_t pid) {
  std::vector<Child> children;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto stat = read_process_stat(entry.path());
    if (stat && stat->parent == pid && !stat->is_dead())
      children.push_back({std::stoi(name), stat->start_ticks});
  }
  return children;
}

/// Where mpirun has to be ended, what it started here ends with it: else an ssh to a host out of
/// reach would stay, and keep the pipe open that our output goes into. Each of them has a process
/// group of its own.
void kill_all(const std::vector<Child>& children) {
  for (const Child& child : children)
    if (const auto stat = read_process_stat(child.pid);
        stat && stat->start_ticks == child.start_ticks)
      ::kill(::getpgid(child.pid) == child.pid ? -child.pid : child.pid, SIGKILL);
}

}  // namespace

int wait_for_launcher(pid_t pid, const std::function<bool()>& has_ended,
                      const LauncherPatience& patience) {
  bool had_children = false;
  auto next_look = Clock::now() + kLookEvery, last_seen = Clock::now();
  auto ends_at = Clock::time_point::max();
  int num_looks = 0;
  bool is_asked = false;
  std::vector<Child> left;
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    TRIGA_CHECK(ended >= 0 || errno == EINTR, "waitpid: ", std::strerror(errno));
    if (ended == pid) {
      kill_all(left);
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(kPause);
    if (Clock::now() < next_look) continue;
    next_look = Clock::now() + kLookEvery;
    if (!living_children(pid).empty()) {
      had_children = true;
      last_seen = Clock::now();
    } else if (had_children && Clock::now() - last_seen > patience.without_ranks) {
      ::kill(pid, SIGKILL);
    }
    if (++num_looks % kLooksPerQuestion == 0 && ends_at == Clock::time_point::max() && has_ended())
      ends_at = Clock::now() + patience.after_the_end;
    if (Clock::now() > ends_at) {
      if (left.empty()) left = living_children(pid);
      ::kill(pid, is_asked ? SIGKILL : SIGTERM);
      is_asked = true;
      ends_at = Clock::now() + patience.after_sigterm;
    }
  }
}

}  // namespace triga
