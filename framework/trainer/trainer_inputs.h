// What a trainer works with, besides the strategy.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>

#include "base/files.h"
#include "base/trace.h"
#include "checkpoint/snapshot.h"
#include "comm/process_grid.h"
#include "config/experiment.h"
#include "trainer/assembly.h"
#include "trainer/grace_period.h"
#include "trainer/lease.h"
#include "trainer/run_directory.h"
#include "trainer/step_clock.h"

namespace triga {

/// All must outlive the trainer.
struct TrainerInputs {
  const Experiment& experiment;
  const Assembly& assembly;
  const ProcessGrid& grid;
  FileSystem& files;
  RunDirectory directory;
  const ConfigNode& resolved;
  std::optional<int64_t> decay_steps;       // of the run's first start; empty: this is the first
  Environment environment;                  // for the manifests of checkpoints
  const Lease* lease = nullptr;             // of rank 0; null elsewhere
  const std::atomic<bool>& stop_requested;  // set by a signal
  Trace& trace;                             // that the strategy and the communicators write to
  StepClock& clock;                         // of this rank's own work
  int64_t profile_steps = 0;                // 0: nothing is recorded
  std::map<std::string, std::string> data;  // fingerprints by split, for checkpoints
  /// Of the checkpoint that the run went back to: its metrics. It is saved anew at once, with what
  /// is left out from now on.
  std::optional<std::map<std::string, double>> gone_back_to;
  JobTimes job_times = {};
};

}  // namespace triga
