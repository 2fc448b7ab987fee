// A start of a run, from a resolved experiment to the exit: decides where to go on, builds the
// model, trains, and says how it ended. `triga train` is this plus the environment.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/terminal.h"
#include "comm/communicator.h"
#include "config/resolve.h"
#include "trainer/grace_period.h"
#include "trainer/resume.h"
#include "triga/plugin.h"

namespace triga {

struct TrainingRunOptions {
  const ResolvedExperiment& resolved;
  const Registry& registry;
  FileSystem& files;
  StartRequest start;
  std::filesystem::path cache_dir;
  Terminal* terminal = nullptr;                // of rank 0; null elsewhere
  std::map<std::string, std::string> plugins;  // for the manifest: its version and content
  std::string device;                          // of this rank, in words
  std::map<std::string, std::string> device_environment;  // for the manifest too; ranks may differ
  std::string command;                                    // to start it again
  const std::atomic<bool>& stop_requested;
  int64_t profile_steps = 0;
  /// Called when the run directory is this run's, with the token of its lease (lease.h). May be empty.
  std::function<void(const std::string& lease_token)> on_begin;
  /// Called when a failure was reported and before anything is taken down: a command leaves the
  /// process here, for threads that hang (a disk that does not answer) would keep it. May be empty.
  std::function<void(const Error&)> on_failure;
  std::vector<std::string> start_notes = {};  // that the checks before it found, for the log
  JobTimes job_times = {};
};

/// Requires: check_ranks (start_checks.h) has been through. Collective over `world`. Returns kDone,
/// or kStopped after a signal. When it fails, failure.txt and status.json are written, the other
/// ranks are told, and the exception goes on to the caller.
ExitStatus run_training(Communicator& world, const TrainingRunOptions& options);

}  // namespace triga
