// slurm_script: the batch script of `triga submit`, for people to read: what the job asks for, what
// it sets up, the step that runs the ranks, and when it goes back into the queue.
//
// What it relies on was seen with Slurm 22.05 and is tested with a real one (tests/cluster):
//   - before the time limit, and where a site preempts with send_user_signal, Slurm signals the
//     script alone (--signal=B:USR1@N). srun passes SIGUSR1 on to all ranks, which save and stop;
//   - `scontrol requeue`, `scancel` and the time limit itself send SIGTERM to the script, to srun and
//     to the ranks alike, and SIGKILL after KillWait: ranks save on the first.
//     `scontrol show config` tells how long that is;
//   - --kill-on-bad-exit: ranks whose peer died are ended (SIGTERM, SIGKILL after KillWait), not
//     left waiting for it;
//   - a job that Slurm ends (scancel, a requeue by somebody) has another state than RUNNING when its
//     script gets to know: requeueing it from there would undo scancel;
//   - srun's status is the largest of its ranks': status.json holds the true one.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/experiment.h"

namespace triga {

struct SlurmJob {
  std::string name;
  LaunchConfig launch;
  std::string written_by;  // the version and the command line, for the first lines
  std::filesystem::path working_directory, run_directory;
  std::map<std::string, std::string> variables;  // further ones, below launch.environment
  std::vector<std::string> sbatch;               // further arguments, after launch.sbatch
  std::vector<std::string> program;              // that each rank runs
  std::vector<std::string> arguments;            // of every start
  std::vector<std::string> first_arguments;      // of the job's first start: --fresh, --resume PATH
};

/// Where the job's output goes; `job`: "%j" for the script, or its number. Of an array: a pattern
/// with "%a" or "*". Beside the run's folder, which the first start makes or moves aside.
std::filesystem::path slurm_log(const SlurmJob& job, const std::string& number,
                                const std::string& task);

std::string slurm_script(const SlurmJob& job);

}  // namespace triga
