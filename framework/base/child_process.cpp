#include "base/child_process.h"

#include <c10/util/StringUtil.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/process_stat.h"
#include "triga/error.h"

extern char** environ;

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPauseMs = 20;

/// What posix_spawn() is asked for.
class Spawn {
 public:
  explicit Spawn(ChildProcess::Streams streams) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    short flags = POSIX_SPAWN_SETPGROUP;
    if (streams != ChildProcess::Streams::kOurs) {
      sigset_t none, all;
      ::sigemptyset(&none);
      ::sigfillset(&all);
      ::posix_spawnattr_setsigmask(&attributes_, &none);
      ::posix_spawnattr_setsigdefault(&attributes_, &all);
      flags |= POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
      ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    ::posix_spawnattr_setflags(&attributes_, flags);
  }
  ~Spawn() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  /// Output and error go to `descriptor`.
  void write_to(int descriptor) {
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
      ::posix_spawn_file_actions_adddup2(&actions_, descriptor, stream);
  }
  /// An errno; 0: it runs.
  int start(const std::vector<std::string>& line, pid_t& pid) {
    std::vector<char*> arguments;
    for (const std::string& word : line) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    return ::posix_spawn(&pid, arguments[0], &actions_, &attributes_, arguments.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& line, Streams streams, size_t max_output)
    : streams_(streams), max_output_(max_output) {
  std::array<int, 2> ends = {-1, -1};
  int error = 0;
  if (streams == Streams::kPipe) error = ::pipe2(ends.data(), O_CLOEXEC) == 0 ? 0 : errno;
  if (streams == Streams::kNone) {
    ends[1] = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    error = ends[1] < 0 ? errno : 0;
  }
  if (error == 0) {
    Spawn spawn(streams);
    if (ends[1] >= 0) spawn.write_to(ends[1]);
    error = spawn.start(line, pid_);
  }
  output_ = ends[0];
  if (ends[1] >= 0) ::close(ends[1]);
  if (error == 0) return;
  if (output_ >= 0) ::close(output_);
  throw Error(c10::str("cannot start ", line[0], ": ", std::strerror(error)));
}

ChildProcess::~ChildProcess() {
  if (streams_ != Streams::kOurs || !wait_status_) ::kill(-pid_, SIGKILL);
  if (!wait_status_) ::waitpid(pid_, nullptr, 0);
  if (output_ >= 0) ::close(output_);
}

std::optional<int> ChildProcess::wait_status() {
  if (wait_status_) return wait_status_;
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  TRIGA_CHECK(ended >= 0 || errno == EINTR, "waitpid: ", std::strerror(errno));
  if (ended == pid_) wait_status_ = status;
  return wait_status_;
}

ChildProcess::Outcome ChildProcess::wait(Clock::time_point deadline) {
  Outcome outcome;
  while (!wait_status_ && !outcome.timed_out) {
    read_output(kPauseMs);
    outcome.timed_out = !wait_status() && Clock::now() >= deadline;
  }
  while (read_output(0)) {
  }
  outcome.wait_status = wait_status_.value_or(0);
  outcome.output = text_;
  return outcome;
}

/// Adds what is there, and forgets what is too old. False: nothing was, for now or for good.
bool ChildProcess::read_output(int wait_ms) {
  pollfd ready{output_, POLLIN, 0};  // poll() passes over a descriptor of -1, and waits
  if (::poll(&ready, 1, wait_ms) <= 0) return false;
  std::array<char, 4096> buffer;
  const auto count = ::read(output_, buffer.data(), buffer.size());
  if (count <= 0) {
    if (wait_ms > 0) ::poll(nullptr, 0, wait_ms);  // closed, but the child still runs: do not spin
    return false;
  }
  text_.append(buffer.data(), static_cast<size_t>(count));
  if (text_.size() > max_output_) text_.erase(0, text_.size() - max_output_);
  return true;
}

std::vector<ProcessName> living_children(pid_t pid) {
  std::vector<ProcessName> children;
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

void kill_all(const std::vector<ProcessName>& processes) {
  for (const ProcessName& process : processes)
    if (const auto stat = read_process_stat(process.pid);
        stat && stat->start_ticks == process.start_ticks)
      ::kill(::getpgid(process.pid) == process.pid ? -process.pid : process.pid, SIGKILL);
}

}  // namespace triga
