// Allocation: the hosts that a scheduler (Slurm, PBS, LSF) gave to the job that this process is in,
// whether or not it started this process as a rank.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace triga {

/// Looks a variable up; nothing: it is not set.
using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

struct Allocation {
  std::string scheduler;  // "Slurm"
  std::string job;        // its number
  int num_hosts = 1;
  std::string hosts;      // names, for people: "node[1-2]"; "" where there is only a file
  std::string host_file;  // for mpirun's --hostfile; "": mpirun asks the scheduler itself
};

/// From SLURM_JOB_ID, PBS_NODEFILE or LSB_DJOB_HOSTFILE and their likes; nothing outside of a job.
std::optional<Allocation> read_allocation(const VariableLookup& variable);

/// "job 12 of Slurm (2 hosts: node[1-2])".
std::string describe(const Allocation& allocation);

}  // namespace triga
