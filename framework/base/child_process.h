// ChildProcess: another program, started and ended by this one, in a process group of its own (a
// Ctrl-C in the terminal reaches only us).
//
//   ChildProcess child({"/usr/bin/mpirun", "--version"}, ChildProcess::Streams::kPipe);
//   const ChildProcess::Outcome outcome = child.wait(Clock::now() + std::chrono::seconds(10));
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace triga {

class ChildProcess {
 public:
  enum class Streams {
    kOurs,  // it reads and writes where we do
    kNone,  // its input is empty, its output is forgotten
    kPipe   // its input is empty; output and error come to us
  };
  struct Outcome {
    int wait_status = 0;  // as waitpid() gives it
    bool timed_out = false;
    std::string output;  // with kPipe: the end of output and error
  };

  /// `line`: the program's path and its arguments. But for kOurs no signal is blocked or ignored
  /// there. `max_output`: bytes that are kept of what it writes. Throws: Error with the reason.
  ChildProcess(const std::vector<std::string>& line, Streams streams, size_t max_output = 1 << 20);
  /// Kills it and its group; with kOurs not when it has been seen to end, as others may live on.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// As waitpid() gives it, once it has ended; nothing: it lives. Throws: Error when nobody can say
  /// (SIGCHLD is ignored).
  std::optional<int> wait_status();
  Outcome wait(std::chrono::steady_clock::time_point deadline);

 private:
  bool read_output(int wait_ms);

  const Streams streams_;
  const size_t max_output_;
  pid_t pid_ = 0;
  int output_ = -1;
  std::string text_;
  std::optional<int> wait_status_;
};

/// A process by its number and when it began: numbers are used again.
struct ProcessName {
  pid_t pid;
  std::string start_ticks;
};

/// Of `pid`, its own children alone, those that are not dead.
std::vector<ProcessName> living_children(pid_t pid);
/// Those that still live, each with its process group, if it leads one.
void kill_all(const std::vector<ProcessName>& processes);

}  // namespace triga
