// RunStatus: status.json of a run directory, how a run is doing or how it ended. It is the truth
// when mpirun and srun merge the exit statuses of ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/files.h"

namespace triga {

struct RunStatus {
  enum class State { kRunning, kFinished, kStopped, kFailed };

  State state = State::kRunning;
  std::string cause;               // why it is not running, in words; "" while it runs
  int64_t step = 0;                // optimizer steps done
  std::optional<int> exit_status;  // nothing while it runs
  std::string host = {};           // on which it failed; "": it did not, or nobody knows
  std::string signal = {};         // that a crash ended it with: "SIGSEGV"; "": there was none
};

/// Replaces the file atomically. Not `is_durable`: without waiting for the disk; a host that loses
/// power may leave the old file, or an empty one. Throws: FileError.
void write_run_status(FileSystem& files, const Path& path, const RunStatus& status,
                      bool is_durable = true);

/// Nothing: there is no such file, or it is empty. Throws: Error when it is there and is no status.
std::optional<RunStatus> read_run_status(FileSystem& files, const Path& path);

}  // namespace triga
