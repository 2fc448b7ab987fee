#include "launchers/host_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "launchers/child_processes.h"

extern char** environ;

namespace triga {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);

bool is_address(const std::string& host) {
  return host.find_first_not_of("0123456789.") == std::string::npos ||
         host.find(':') != std::string::npos;
}

/// Names without their domain; addresses as they are.
std::string short_name(const std::string& host) {
  return is_address(host) ? host : host.substr(0, host.find('.'));
}

/// In a process group of its own, without a word; -1: it cannot be started.
pid_t start(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    ::posix_spawn_file_actions_addopen(&files, descriptor, "/dev/null", O_RDWR, 0);
  pid_t pid = -1;
  if (::posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ) != 0) pid = -1;
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  return pid;
}

/// mpirun, and its ssh to a host that does not answer, which has a group of its own.
void kill_with_children(pid_t pid) {
  const auto children = living_children(pid);
  ::kill(-pid, SIGKILL);
  kill_all(children);
}

}  // namespace

HostPool::HostPool(std::vector<std::string> hosts,
                   std::function<std::vector<bool>(const std::vector<std::string>&)> answers,
                   std::ostream& out)
    : hosts_(std::move(hosts)), answers_(std::move(answers)), out_(out) {}

void HostPool::ended_on(const std::string& host) {
  if (!host.empty()) ++num_ends_[short_name(host)];
}

std::vector<std::string> HostPool::usable() {
  std::vector<std::string> candidates;
  for (const std::string& host : hosts_) {
    const auto ends = num_ends_.find(short_name(host));
    if (ends == num_ends_.end() || ends->second < kMostEnds)
      candidates.push_back(host);
    else
      out_ << fmt::format("triga: host {} is left out: the run ended on it {} times\n", host,
                          ends->second);
  }
  const std::vector<bool> answers = answers_(candidates);
  std::vector<std::string> usable;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (answers[i])
      usable.push_back(candidates[i]);
    else
      out_ << fmt::format("triga: host {} is left out: it does not answer\n", candidates[i]);
  }
  out_ << std::flush;
  return usable;
}

std::vector<bool> can_start_on(const std::vector<std::string>& hosts,
                               const std::vector<std::string>& command,
                               const std::function<bool()>& is_cancelled,
                               std::chrono::milliseconds patience) {
  std::vector<pid_t> asked;
  for (const std::string& host : hosts) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"--host", host, "-n", "1", "true"});
    asked.push_back(start(words));
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  std::vector<bool> answers(hosts.size(), false);
  for (bool is_late = false;
       std::any_of(asked.begin(), asked.end(), [](pid_t p) { return p > 0; });) {
    for (size_t i = 0; i < asked.size(); ++i) {
      int status = 0;
      if (asked[i] <= 0) continue;
      const pid_t ended = ::waitpid(asked[i], &status, WNOHANG);
      if (ended == 0) continue;
      answers[i] = ended == asked[i] && !is_late && WIFEXITED(status) && WEXITSTATUS(status) == 0;
      asked[i] = -1;
    }
    std::this_thread::sleep_for(kLookEvery);
    if (is_late || (std::chrono::steady_clock::now() < deadline && !is_cancelled())) continue;
    is_late = true;
    for (const pid_t pid : asked)
      if (pid > 0) kill_with_children(pid);
  }
  return answers;
}

}  // namespace triga
