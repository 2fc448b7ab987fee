// What `triga doctor` looks at. Each look_at function gathers and judges one topic of this machine;
// judges are pure, so that tests give them what no machine here has. Nothing starts MPI, or needs a
// GPU: it is for login nodes as well.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launchers/doctor_report.h"
#include "launchers/environment.h"

namespace triga {

/// What the machine is to be good for. Without an experiment: whatever it has.
struct Wishes {
  int num_ranks = 1, num_hosts = 1;
  std::string device = "auto";          // train.device
  std::filesystem::path run_directory;  // "": runs/ of the working directory

  bool needs_mpi() const { return num_ranks > 1; }
};

using Findings = std::vector<Finding>;

/// Triga, LibTorch, plugins.
Findings look_at_software(const CommandEnvironment& environment);

// doctor_mpi.cpp: MPI, mpirun, PMIx, the scheduler.

Findings look_at_mpi(const Wishes& wishes);
Findings look_at_scheduler(const CommandEnvironment& environment, const Wishes& wishes);

/// "4.1.4" in "Open MPI v4.1.4", "mpirun (Open MPI) 4.1.4"; "": there is none.
std::string version_in(const std::string& text);
/// The library that Triga opens ("Open MPI v4.1.4"; "": none, for `reason`), and what `mpirun
/// --version` says ("": there is none in PATH).
Findings judge_mpi(const std::string& library, const std::string& reason, const std::string& mpirun,
                   const std::string& mpirun_path, bool is_needed);
/// The text of `ompi_info`; "": there is none. `scheduler`: of this machine.
Findings judge_mpi_parts(const std::string& ompi_info, const std::string& scheduler);

/// One of Open MPI's ways to find other ranks: "ext3x", an external PMIx; "pmix3x", its own;
/// "isolated" and others speak no PMIx.
struct PmixComponent {
  std::string name;
  std::string version;  // of PMIx's library; "": it does not say

  bool is_own() const { return name.starts_with("pmix"); }
  bool speaks_pmix() const { return is_own() || name.starts_with("ext"); }
};
/// In the text of `ompi_info --param pmix all --level 9 --parsable`, whatever else it says. Open
/// MPI 5 lists none.
std::vector<PmixComponent> pmix_components(const std::string& ompi_info);
/// Which PMIx `library` ("Open MPI v4.1.4") uses, by what ompi_info says.
Finding judge_pmix(const std::string& library, const std::vector<PmixComponent>& components);
/// The kinds of PMIx in the text of `srun --mpi=list`: "pmix", "pmix_v4".
std::vector<std::string> pmix_of_srun(const std::string& list);
/// The text of `srun --mpi=list`.
Finding judge_srun(const std::string& list);
Finding judge_placement(const Placement& placement, const std::optional<Allocation>& allocation,
                        int wished_hosts);

// doctor_host.cpp: cores, memory, /dev/shm.

/// `num_gpus`: that this process may use.
Findings look_at_host(const Wishes& wishes, int num_gpus);

Findings judge_cores(const CoreCounts& cores, const std::optional<std::string>& omp_num_threads,
                     int ranks_here);
/// Bytes. `available`: also to the control groups; `limit`: of theirs; 0: none.
Finding judge_memory(double total, double available, double limit);
/// Bytes of /dev/shm; 0: there is none. What ranks of Triga share does not lie there
/// (comm/shared_segment.h); NCCL, for `num_gpus` of this host together, and Open MPI may use it.
Finding judge_shared_memory(double size, double free, int ranks_here, int num_gpus);
/// Bytes a second of the fastest card; 0: not known. `lockable`: bytes that a process may lock, which
/// InfiniBand needs; negative: no limit.
Finding judge_network(double card, bool has_infiniband, double lockable);

}  // namespace triga
