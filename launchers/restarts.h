// Restarts: starts a run again after it lost a rank or a host (launch.max_restarts), but only where
// that has helped or something is different: steps were gained since the last start, the host that
// the run ended on is left out, or hosts that had run it could not be reached for a while.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>

#include "base/files.h"
#include "launchers/patient_look.h"
#include "trainer/run_directory.h"
#include "triga/error.h"

namespace triga {

/// How far a run has come. A start that fails between two checkpoints is later in the one and as far
/// as the start before in the other; one that saves earlier than that one failed, the other way
/// round: both have gained something.
struct Reached {
  int64_t step = 0;   // of its last status
  int64_t saved = 0;  // of its newest checkpoint

  bool is_beyond(const Reached& before) const { return step > before.step || saved > before.saved; }
};

/// Zeros: nothing is there. Throws: FileError.
Reached reached(FileSystem& files, const RunDirectory& directory);

/// How one start of a run ended.
struct StartEnd {
  ExitStatus status = ExitStatus::kDone;
  bool has_begun = true;         // it came as far as to write a status of its own
  bool leaves_host_out = false;  // the next start is without the host that it ended on
};

class Restarts {
 public:
  struct Options {
    int64_t limit = 0;  // how many at most
    /// What is in the folder now is moved aside by the first start: no run to compare with.
    bool begins_anew = false;
    std::chrono::milliseconds first_pause = std::chrono::seconds(5);  // doubled each time
    std::chrono::milliseconds longest_pause = std::chrono::minutes(5);
    /// How long a holder of the run's folder on another host may give no sign of life before it is
    /// taken for dead.
    std::chrono::milliseconds lease_expiry = std::chrono::seconds(75);
    /// How long the run's folder may be away before a decision is made without it.
    std::chrono::milliseconds folder_patience = std::chrono::seconds(60);
  };

  /// `is_cancelled`: whether to wait no longer and give up. What happens is said to `out`.
  Restarts(FileSystem& files, RunDirectory directory, const Options& options,
           std::function<bool()> is_cancelled, std::ostream& out);

  /// A start ended. True: start again, after the pause that was made and when the folder is free.
  /// Where the folder cannot be read, and so what was gained is not known: start again, up to the
  /// limit.
  bool again(const StartEnd& end);

 private:
  /// A lost peer, a crash, which may be the host's fault, or hosts that were there before.
  bool can_be_of_a_host(const StartEnd& end);
  /// Nothing: the folder cannot be read.
  std::optional<Reached> look();
  bool pause(std::chrono::milliseconds duration, const std::function<bool()>& is_over);

  FileSystem& files_;
  const RunDirectory directory_;
  const Options options_;
  const std::function<bool()> is_cancelled_;
  std::ostream& out_;
  PatientLook folder_;
  int64_t num_restarts_ = 0;
  Reached reached_;  // when the last start ended
};

}  // namespace triga
