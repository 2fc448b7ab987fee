#include "launchers/wait_for_launcher.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "base/process_stat.h"
#include "triga/error.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kLookEvery = std::chrono::milliseconds(250);
constexpr int kLooksPerQuestion = 8;  // whether the run has ended: a file, maybe far away

/// Does a process live whose parent is `pid`?
bool has_living_children(pid_t pid) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto stat = read_process_stat(entry.path());
    if (stat && stat->parent == pid && !stat->is_dead()) return true;
  }
  return false;
}

}  // namespace

int wait_for_launcher(pid_t pid, const std::function<bool()>& has_ended,
                      const LauncherPatience& patience) {
  bool had_children = false;
  auto next_look = Clock::now() + kLookEvery, last_seen = Clock::now();
  auto ends_at = Clock::time_point::max();
  int num_looks = 0;
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    TRIGA_CHECK(ended >= 0 || errno == EINTR, "waitpid: ", std::strerror(errno));
    if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::this_thread::sleep_for(kPause);
    if (Clock::now() < next_look) continue;
    next_look = Clock::now() + kLookEvery;
    if (has_living_children(pid)) {
      had_children = true;
      last_seen = Clock::now();
    } else if (had_children && Clock::now() - last_seen > patience.without_ranks) {
      ::kill(pid, SIGKILL);
    }
    if (++num_looks % kLooksPerQuestion == 0 && ends_at == Clock::time_point::max() && has_ended())
      ends_at = Clock::now() + patience.after_the_end;
    if (Clock::now() > ends_at) {
      ::kill(pid, SIGTERM);
      ends_at = Clock::now() + patience.after_the_end;
    }
  }
}

}  // namespace triga
