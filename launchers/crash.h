// A crash of this process, in words: which signal, and in whose code (base/plugin_call.h). What runs
// inside of a signal handler allocates nothing and takes no lock.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "comm/communicator.h"

namespace triga {

/// From now on a signal that a crash brings (SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL) calls
/// `handler`, in this thread on a stack of its own, since the thread's may be what overflowed.
/// SIG_DFL: as if nothing had been asked for. Other threads have no such stack: where theirs
/// overflows, the signal ends the process.
void handle_crashes(void (*handler)(int signal));

/// "crashed (SIGSEGV) in forward of layer 'blocks.3' (MyLayer) of plugin 'foo', step 12, microbatch
/// 0": a part of `buffer`. Async-signal-safe.
std::string_view crash_in_words(int signal, std::span<char> buffer) noexcept;

/// From now on a crash is said on standard error, and the process ends as CrashReporter says.
void say_crashes();

/// While it lives, a crash is told to the other ranks, written into the run directory as any other
/// failure is (by `triga __report-crash`, a process of its own: in this one nothing can be relied on),
/// and said on standard error, last. Then the process ends with ExitStatus::kInternal, or, where the
/// system is to write a core file (ulimit -c), by the signal. At most one at a time.
class CrashReporter {
 public:
  /// `command`: to go on. `world` must outlive it.
  CrashReporter(const std::filesystem::path& executable, Communicator& world,
                const std::string& command);
  ~CrashReporter();
  CrashReporter(const CrashReporter&) = delete;
  CrashReporter& operator=(const CrashReporter&) = delete;

  /// There is a run directory to report in, which holds a lease with this token.
  void begin(const std::filesystem::path& run_directory, const std::string& lease_token);
};

}  // namespace triga
