// What a start does with a run directory that may hold an earlier start: the rules of `--resume`
// and `--fresh`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/snapshot.h"
#include "config/resolve.h"
#include "trainer/run_directory.h"

namespace triga {

struct StartRequest {
  RunDirectory directory;
  std::string resume = "auto";  // or the path of a checkpoint
  bool fresh = false;
};

struct StartDecision {
  enum class Kind { kStart, kResume, kFinished };
  Kind kind = Kind::kStart;
  std::optional<Path> checkpoint;  // to go on from
  std::string origin;              // with that of another run: what was asked for; else ""
  /// learning_rate_schedule.decay_steps of the first start, where the experiment leaves it to the
  /// limit.
  std::optional<int64_t> decay_steps;
  std::optional<int64_t> bucket_bytes;            // that an earlier start measured
  std::optional<std::vector<int64_t>> partition;  // cuts of an earlier start
  std::vector<std::string> notes;                 // sentences for the user
};

/// Looks, and with `fresh` moves the old run aside (to `<dir>.<time of its start>`). Rank 0 calls
/// it, the others get the result. Throws: ConfigError when the run there is of another experiment
/// (with each key that differs, and the cures), when it did not begin from the checkpoint that is
/// asked for, and when there are checkpoints of nobody; CheckpointError when there are checkpoints and
/// none is whole.
StartDecision decide_start(FileSystem& files, const StartRequest& request,
                           const ConfigNode& resolved);

/// Whether this is a request for what goes on in its folder: also when it names the checkpoint that
/// the run there began from, so that the same command may be given again.
bool asks_to_go_on(FileSystem& files, const StartRequest& request);

/// Whether what an evaluation of a checkpoint found holds for this experiment, whose data have
/// `fingerprints`, too. Throws: CheckpointError, ConfigError.
bool is_evaluated_alike(FileSystem& files, const Path& checkpoint, const ConfigNode& resolved,
                        const TrainingState& state,
                        const std::map<std::string, std::string>& fingerprints);

/// Whether a run is there that this start is to go on with: it has not ended regularly, as far as can
/// be told without reading its checkpoints. Throws: ConfigError when it is of another experiment, as
/// decide_start does.
bool goes_on(FileSystem& files, const StartRequest& request, const ConfigNode& resolved);

/// What a decision of rank 0 looks like as text, for the other ranks, without notes.
std::string to_text(const StartDecision& decision);
StartDecision start_decision_from_text(const std::string& text);

/// Whether the run there, if one is there, has ended regularly. Reads no checkpoint. Throws:
/// ConfigError when it is of another experiment, as decide_start does.
bool is_finished_run(FileSystem& files, const RunDirectory& directory, const ConfigNode& resolved);

}  // namespace triga
