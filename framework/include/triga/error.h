// Errors: one family of exceptions an exit status (docs/architecture.md lists them). Library code
// throws; only main() catches, prints and exits. A message for a user says where, what was wrong,
// and what is allowed.
#pragma once

#include <c10/util/StringUtil.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace triga {

/// What the `triga` command returns to the shell. mpirun and srun merge statuses of ranks, so a
/// run's `status.json` holds the true one.
enum class ExitStatus : int {
  kDone = 0,
  kInternal = 1,       // a bug in Triga or in a plugin
  kUsage = 2,          // bad command line or experiment
  kPlugin = 3,         // a plugin could not be found, opened or trusted
  kData = 4,           // data missing, corrupt, or not what the experiment says
  kCheckpoint = 5,     // no usable checkpoint, or it could not be written
  kCommunication = 6,  // a peer died, a deadline passed, an operation did not match
  kDiverged = 7,       // the loss was not finite for too many steps in a row
  kOutOfMemory = 8,
  kStopped = 75,  // saved on a signal; start again to go on
};

/// Base of all of Triga's exceptions. `what()` is one or more whole lines for a person.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitStatus status = ExitStatus::kInternal)
      : std::runtime_error(message), status_(status) {}
  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

/// A line of our own source: which of the places that throw did. Tests list the places that none of
/// them provoked.
struct SourcePlace {
  const char* file;
  int line;
  static SourcePlace here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// What is wrong in an experiment or on the command line: one problem, or all that were found at
/// once, a line each.
struct ConfigError : Error {
  struct Problem {
    std::string message;
    SourcePlace place;
    int line = 0;  // in the user's file; 0: not known
  };
  explicit ConfigError(const std::string& message, SourcePlace place = SourcePlace::here(),
                       int line = 0)
      : Error(message, ExitStatus::kUsage), problems{{message, place, line}} {}
  /// Requires: at least one.
  explicit ConfigError(std::vector<Problem> found)
      : Error(join(found), ExitStatus::kUsage), problems(std::move(found)) {}

  std::vector<Problem> problems;

 private:
  static std::string join(const std::vector<Problem>& problems) {
    std::string text;
    for (const auto& problem : problems) text += (text.empty() ? "" : "\n") + problem.message;
    return text;
  }
};
struct PluginError : Error {
  explicit PluginError(const std::string& message) : Error(message, ExitStatus::kPlugin) {}
};
struct DataError : Error {
  explicit DataError(const std::string& message) : Error(message, ExitStatus::kData) {}
};
struct CheckpointError : Error {
  explicit CheckpointError(const std::string& message) : Error(message, ExitStatus::kCheckpoint) {}
};
struct CommError : Error {
  explicit CommError(const std::string& message) : Error(message, ExitStatus::kCommunication) {}
};
struct DivergedError : Error {
  explicit DivergedError(const std::string& message) : Error(message, ExitStatus::kDiverged) {}
};
struct OutOfMemoryError : Error {
  explicit OutOfMemoryError(const std::string& message)
      : Error(message, ExitStatus::kOutOfMemory) {}
};

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& message);
}  // namespace detail
}  // namespace triga

/// An invariant of the program: `TRIGA_CHECK(n > 0, "no layers in stage ", stage)`. The parts are
/// put together only when it fails. Throws: triga::Error with the condition, file and line (exit
/// status 1).
#define TRIGA_CHECK(condition, ...)                                                           \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::triga::detail::check_failed(#condition, __FILE__, __LINE__, ::c10::str(__VA_ARGS__)); \
  } while (false)
