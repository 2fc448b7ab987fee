#include "launchers/wait_for_launcher.h"

#include <signal.h>
#include <sys/wait.h>

#include <thread>
#include <vector>

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kLookEvery = std::chrono::milliseconds(250);
constexpr int kLooksPerQuestion = 8;  // about the run: files, maybe far away

}  // namespace

int wait_for_launcher(ChildProcess& launcher, const RunSigns& run,
                      const LauncherPatience& patience) {
  bool had_children = false;
  auto next_look = Clock::now() + kLookEvery, last_seen = Clock::now();
  auto ends_at = Clock::time_point::max();
  int num_looks = 0;
  bool is_asked = false;
  // Where it had to be asked to end: else an ssh to a host out of reach would stay, and hold the pipe
  // open that our output goes into.
  std::vector<ProcessName> left;
  const pid_t pid = launcher.pid();
  while (true) {
    if (const auto status = launcher.wait_status()) {
      kill_all(left);
      return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
    }
    std::this_thread::sleep_for(kPause);
    if (Clock::now() < next_look) continue;
    next_look = Clock::now() + kLookEvery;
    const bool asks = ++num_looks % kLooksPerQuestion == 0;
    const size_t num_children = living_children(pid).size();
    run.count(num_children);
    if (num_children > 0) {
      had_children = true;
      last_seen = Clock::now();
    } else if (had_children && asks && Clock::now() - last_seen > patience.without_ranks &&
               !run.is_alive()) {
      ::kill(pid, SIGKILL);
    }
    if (asks && ends_at == Clock::time_point::max() && run.has_ended())
      ends_at = Clock::now() + patience.after_the_end;
    if (Clock::now() > ends_at && !is_asked && !run.has_ended())
      ends_at = Clock::time_point::max();  // what it seemed to have said was of an earlier start
    if (Clock::now() > ends_at) {
      if (left.empty()) left = living_children(pid);
      ::kill(pid, is_asked ? SIGKILL : SIGTERM);
      is_asked = true;
      ends_at = Clock::now() + patience.after_sigterm;
    }
  }
}

}  // namespace triga
