// Places: the hosts that `triga launch` starts ranks on, and how many on each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "launchers/allocation.h"
#include "launchers/host_list.h"

namespace triga {

/// What the command line says.
struct PlacesRequest {
  std::optional<int> num_ranks, num_hosts;
  std::vector<Host> hosts;
};

struct Places {
  std::vector<Host> hosts;               // by name; empty: those of the job, or this one
  std::optional<Allocation> allocation;  // that hosts are taken from
  int num_hosts = 1, num_ranks = 1;

  /// Where hosts say no number of their own.
  int ranks_per_host() const { return (num_ranks + num_hosts - 1) / num_hosts; }
  /// mpirun finds the hosts of a job of Slurm by itself.
  std::vector<std::string> mpirun_arguments() const;
};

/// Named hosts, else those of the job that this runs in, else this one. Throws: ConfigError when
/// they are too few, or nobody knows which they are.
Places choose_places(const PlacesRequest& request, const std::optional<Allocation>& allocation,
                     const LaunchConfig& config);

/// As `before`, on those of `hosts` that are left: on as many, where there are spare ones, else with
/// no more ranks a host than before (or than it says), and none where no host is left.
Places places_on(const std::vector<Host>& hosts, const Places& before);

}  // namespace triga
