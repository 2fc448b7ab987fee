#include "launchers/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "launchers/environment.h"

extern char** environ;

namespace triga {

namespace fs = std::filesystem;

fs::path find_program(const std::string& name) {
  const std::string path = environment_variable("PATH").value_or("/usr/bin:/bin");
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const fs::path candidate = fs::path(path.substr(begin, end - begin)) / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return {};
}

std::optional<std::string> run_program(const std::vector<std::string>& line,
                                       std::chrono::milliseconds patience) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return std::nullopt;
  std::vector<char*> argv;
  for (const std::string& word : line) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  pid_t pid = 0;
  const bool has_started =
      ::posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ) == 0;
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  ::close(pipe[1]);
  std::string text;
  bool is_closed = false;
  const auto end = std::chrono::steady_clock::now() + patience;
  while (has_started && !is_closed) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd ready = {pipe[0], POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left.count())) <= 0) continue;  // late, or a signal
    std::array<char, 4096> part{};
    const ssize_t count = ::read(pipe[0], part.data(), part.size());
    if (count > 0) text.append(part.data(), static_cast<size_t>(count));
    is_closed = count <= 0;
  }
  ::close(pipe[0]);
  if (!has_started) return std::nullopt;
  bool has_ended = false;
  while (is_closed && !has_ended && std::chrono::steady_clock::now() < end) {
    has_ended = ::waitpid(pid, nullptr, WNOHANG) != 0;
    if (!has_ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (has_ended) return text;
  ::kill(-pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return std::nullopt;
}

std::string shell_word(const std::string& text) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
  return quoted + "'";
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

std::vector<std::string> rank_program(const LaunchConfig& config, const fs::path& executable) {
  if (!config.container) return {executable.string()};
  std::vector<std::string> words = config.container->command;
  words.push_back(config.container->image.path);
  words.push_back(config.container->triga.empty() ? executable.string() : config.container->triga);
  return words;
}

}  // namespace triga
