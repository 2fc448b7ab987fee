// The environment, read here and nowhere else: paths, how this process was started, and what the
// terminal can do. Everything below the launchers gets values.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launchers/allocation.h"
#include "plugin_host/search_path.h"

namespace triga {

/// This process's place among those that a launcher (mpirun, srun) started. Alone: one rank of one.
struct Placement {
  std::string launcher;  // "Open MPI", "PMIx"; "" when started by hand
  /// A launcher started several processes that MPI cannot bring together; what to do instead.
  std::string problem;
  int rank = 0, world_size = 1;
  int local_rank = 0, local_size = 1;  // on this host
  bool is_launched() const { return !launcher.empty(); }
  /// A step of its own, as `srun --pty bash` makes it, where the site's default is PMIx: what is
  /// started there may start ranks itself.
  bool is_shell() const { return launcher == "PMIx" && world_size == 1; }
};

/// From what launchers set: Open MPI's OMPI_*, or PMIx's and Slurm's of a step. What an allocation
/// sets (salloc, a batch script) does not count.
Placement read_placement(const VariableLookup& variable);

/// MPI brought `mpi_size` ranks together; "": as many as the launcher started. Else what is wrong.
std::string world_problem(const Placement& placement, int mpi_size);

/// What a command that starts ranks itself must not be; "": it is alone, or in a shell.
std::string rank_problem(const Placement& placement, const std::string& command);

/// Whether a variable makes a process a task of a step of Slurm. Open MPI takes those of another
/// step for its own: mpirun's ranks would ask Slurm's PMIx who they are.
bool is_of_a_step(const std::string& name);

/// Takes such variables out of the environment, for programs that are started from now on.
/// Requires: no other threads.
void forget_step();

/// What the ranks of this host have to compute on.
struct CoreCounts {
  int mine = 1;             // in this rank's affinity mask
  int of_all = 1;           // that all ranks of this host may use together
  double quota = INFINITY;  // cores' worth of time that the control group gives them together
};

CoreCounts count_cores(const VariableLookup& variable);

/// mpirun bound this process by its own default (to one core, or to a socket) and not because
/// somebody asked for it (--bind-to, --map-by).
bool is_bound_by_default(const VariableLookup& variable);

/// Undoes such a binding: a rank's threads and the one that communicates would share one core.
/// Requires: no threads that compute yet; they take over this thread's mask.
void widen_default_binding(const VariableLookup& variable);

/// Threads for each of `local_size` ranks: its share of the cores of all, and no more than its mask
/// has (srun --cpus-per-task, mpirun --map-by slot:PE=n).
int num_threads(const CoreCounts& cores, int local_size);

struct CommandEnvironment {
  std::vector<std::string> words;       // of the command line, without the program
  std::filesystem::path executable;     // of the running command, absolute
  std::filesystem::path prefix;         // the build or install tree: bin/.., with lib/triga/plugins
  std::string data_dir;                 // TRIGA_DATA_DIR, else "data"
  std::string data_mirror;              // TRIGA_DATA_MIRROR; "": none
  std::vector<std::string> site_files;  // those that are there, of the install and of the user
  std::filesystem::path cache_dir;      // TRIGA_CACHE_DIR, else under XDG_CACHE_HOME or ~/.cache
  std::vector<std::filesystem::path>
      plugin_folders;                             // the tree's own, then those of TRIGA_PLUGIN_PATH
  std::optional<PluginSearchPath::Found> plugin;  // that a command is about; not of the environment
  Placement placement;
  std::optional<Allocation> allocation;  // the job that this process is in, as a rank or not
  bool is_terminal = false;              // standard output
  bool use_color = false;                // NO_COLOR is not set
  int terminal_columns = 80;
  bool is_root = false;
  std::string nccl_host;  // NCCL_HOSTID
};

/// What a person starts the run again with: launchers tell the ranks that they start.
constexpr const char* kStartCommandVariable = "TRIGA_START_COMMAND";

/// What the user may have set for the ranks as well, and what launchers set.
constexpr const char* kTrigaVariables[] = {"TRIGA_DATA_DIR", "TRIGA_CACHE_DIR", "TRIGA_PLUGIN_PATH",
                                           kStartCommandVariable};

CommandEnvironment read_environment();

/// One variable, for ${env:NAME}.
std::optional<std::string> environment_variable(const std::string& name);

}  // namespace triga
