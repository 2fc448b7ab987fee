#include "plugin_host/trial.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "plugin_host/library.h"
#include "triga/error.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kPassed = "triga: opened plugin ";
constexpr size_t kMaxOutput = 16384;  // bytes that are kept of what the child prints
constexpr int kPluginStatus = static_cast<int>(ExitStatus::kPlugin);

struct Outcome {
  int wait_status = 0;  // as waitpid() gives it
  bool timed_out = false;
  std::string output;  // the end of stdout and stderr
};

/// A child in a process group of its own, with its output in a pipe. Ends the whole group when it
/// goes out of scope.
class Child {
 public:
  explicit Child(std::vector<std::string> command) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw PluginError(c10::str("pipe: ", std::strerror(errno)));
    output_ = ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    std::vector<char*> arguments;
    for (auto& part : command) arguments.push_back(part.data());
    arguments.push_back(nullptr);
    const int error =
        ::posix_spawn(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (error == 0) return;
    ::close(output_);
    throw PluginError(c10::str("the process that tries it could not be started: ", command[0], ": ",
                               std::strerror(error)));
  }
  ~Child() {
    ::kill(-pid_, SIGKILL);
    if (!reaped_) ::waitpid(pid_, nullptr, 0);
    ::close(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Outcome wait(Clock::time_point deadline) {
    Outcome outcome;
    while (!reaped_ && !outcome.timed_out) {
      read_output(outcome.output, /*wait_ms=*/20);
      reaped_ = ::waitpid(pid_, &outcome.wait_status, WNOHANG) == pid_;
      outcome.timed_out = !reaped_ && Clock::now() >= deadline;
    }
    while (read_output(outcome.output, /*wait_ms=*/0)) {
    }
    return outcome;
  }

 private:
  /// Adds what is there, and forgets what is too old. False: nothing was, for now or for good.
  bool read_output(std::string& output, int wait_ms) {
    pollfd ready{output_, POLLIN, 0};
    if (::poll(&ready, 1, wait_ms) <= 0) return false;
    char buffer[4096];
    const auto count = ::read(output_, buffer, sizeof(buffer));
    if (count <= 0) {
      if (wait_ms > 0)
        ::poll(nullptr, 0, wait_ms);  // closed, but the child still runs: do not spin
      return false;
    }
    output.append(buffer, static_cast<size_t>(count));
    if (output.size() > kMaxOutput) output.erase(0, output.size() - kMaxOutput);
    return true;
  }

  pid_t pid_ = 0;
  int output_ = -1;
  bool reaped_ = false;
};

std::string last_words(const std::string& output) {
  return output.empty() ? "" : c10::str("\n  its last words:\n", output);
}

/// Nothing when the child came through.
std::string what_went_wrong(const Outcome& outcome, std::chrono::milliseconds time_limit) {
  const int status = outcome.wait_status;
  if (outcome.timed_out)
    return c10::str("loading it did not end within ", time_limit.count() / 1000.0,
                    " s: a static initialiser of it hangs", last_words(outcome.output));
  if (WIFSIGNALED(status))
    return c10::str("loading it ended the process that tried it with signal ", WTERMSIG(status),
                    " (", ::strsignal(WTERMSIG(status)),
                    "): a static initialiser of it throws or crashes", last_words(outcome.output));
  const auto line = outcome.output.rfind(kPassed);
  if (WEXITSTATUS(status) == 0 && line != std::string::npos) return "";
  return c10::str("loading it left the process that tried it with status ", WEXITSTATUS(status),
                  ": a static initialiser of it calls exit()", last_words(outcome.output));
}

fs::path memory_of(const PluginFile& file, const PluginTrial& trial) {
  return trial.cache_dir / "plugins" / ("opened-" + file.content_hash);
}

void remember(const PluginFile& file, const PluginTrial& trial) {
  const auto memory = memory_of(file, trial);
  std::error_code ignored;  // the cost is another trial the next time
  fs::create_directories(memory.parent_path(), ignored);
  std::ofstream(memory) << file.path.string() << "\n";
}

}  // namespace

void try_in_child(const PluginFile& file, const PluginTrial& trial) {
  std::error_code ignored;
  if (fs::exists(memory_of(file, trial), ignored)) return;
  auto command = trial.command;
  TRIGA_CHECK(!command.empty(), "no command to try a plugin with");
  command.push_back(file.path.string());
  Child child(command);
  const auto outcome = child.wait(Clock::now() + trial.time_limit);
  if (!outcome.timed_out && WIFEXITED(outcome.wait_status) &&
      WEXITSTATUS(outcome.wait_status) == kPluginStatus)
    throw PluginError(outcome.output.substr(0, outcome.output.find_last_not_of('\n') + 1));
  const auto wrong = what_went_wrong(outcome, trial.time_limit);
  if (!wrong.empty())
    throw PluginError(c10::str(file.path.string(), " can not be opened as a plugin: ", wrong));
  remember(file, trial);
}

std::string open_for_trial(const fs::path& path) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const auto file = PluginFile::inspect(path);
  const auto& descriptor = load_plugin(file);
  registered_kinds(descriptor, file);
  return c10::str(kPassed, descriptor.name, " ", descriptor.version);
}

}  // namespace triga
