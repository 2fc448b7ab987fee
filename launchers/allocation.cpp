#include "launchers/allocation.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

namespace triga {
namespace {

/// Lines of a file of hosts, such as "node1" once a core, or "node1 16".
int num_hosts_in(const std::string& file) {
  std::ifstream stream(file);
  std::set<std::string> hosts;
  for (std::string line; std::getline(stream, line);)
    if (const std::string host = line.substr(0, line.find_first_of(" \t")); !host.empty())
      hosts.insert(host);
  return std::max(1, static_cast<int>(hosts.size()));
}

std::optional<Allocation> with_host_file(const VariableLookup& variable, const char* scheduler,
                                         const char* job, const char* file) {
  const auto path = variable(file);
  if (!path || path->empty()) return std::nullopt;
  return Allocation{.scheduler = scheduler,
                    .job = variable(job).value_or("?"),
                    .num_hosts = num_hosts_in(*path),
                    .hosts = "",
                    .host_file = *path};
}

}  // namespace

std::optional<Allocation> read_allocation(const VariableLookup& variable) {
  if (const auto job = variable("SLURM_JOB_ID")) {
    const std::string count = variable("SLURM_JOB_NUM_NODES").value_or("1");
    return Allocation{.scheduler = "Slurm",
                      .job = *job,
                      .num_hosts = std::max(1, std::atoi(count.c_str())),
                      .hosts = variable("SLURM_JOB_NODELIST").value_or(""),
                      .host_file = ""};
  }
  if (auto pbs = with_host_file(variable, "PBS", "PBS_JOBID", "PBS_NODEFILE")) return pbs;
  return with_host_file(variable, "LSF", "LSB_JOBID", "LSB_DJOB_HOSTFILE");
}

std::string describe(const Allocation& allocation) {
  return "job " + allocation.job + " of " + allocation.scheduler + " (" +
         std::to_string(allocation.num_hosts) + (allocation.num_hosts == 1 ? " host" : " hosts") +
         (allocation.hosts.empty() ? "" : ": " + allocation.hosts) + ")";
}

}  // namespace triga
