#include "launchers/environment.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "base/control_group.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

int number(const std::optional<std::string>& text, int otherwise) {
  if (!text || text->empty()) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text->c_str(), &end, 10);
  return *end == '\0' ? static_cast<int>(value) : otherwise;
}

/// Of SLURM_STEP_TASKS_PER_NODE, such as "4(x2),3": four tasks on two nodes, three on the next.
int tasks_of_node(const std::string& counts, int node) {
  std::istringstream entries(counts);
  int num_tasks = 1;
  for (std::string entry; std::getline(entries, entry, ',');) {
    char* end = nullptr;
    num_tasks = static_cast<int>(std::strtol(entry.c_str(), &end, 10));
    node -= std::string_view(end).starts_with("(x") ? std::atoi(end + 2) : 1;
    if (node < 0) break;
  }
  return std::max(1, num_tasks);
}

/// Whether srun started this process. Batch scripts, the shell of salloc and what else Slurm runs of
/// itself have numbers from 0xfffffff0 on, or none.
bool is_slurm_step(const VariableLookup& variable) {
  const std::string step = variable("SLURM_STEP_ID").value_or("");
  return !step.empty() && step.size() <= 10 &&
         step.find_first_not_of("0123456789") == std::string::npos &&
         std::stoull(step) < 0xfffffff0;
}

/// Cores in a process's affinity mask; 0: not known.
int num_cores_of(pid_t process) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return ::sched_getaffinity(process, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 0;
}

fs::path cache_folder() {
  const auto folder = [](const char* name) { return environment_variable(name).value_or(""); };
  if (const auto own = folder("TRIGA_CACHE_DIR"); !own.empty()) return own;
  if (const auto xdg = folder("XDG_CACHE_HOME"); !xdg.empty()) return fs::path(xdg) / "triga";
  if (const auto home = folder("HOME"); !home.empty()) return fs::path(home) / ".cache" / "triga";
  std::error_code error;
  const fs::path temporary = fs::temp_directory_path(error);
  return (error ? fs::path("/tmp") : temporary) / "triga-cache";
}

/// The install's, then the user's.
std::vector<std::string> find_site_files(const fs::path& prefix) {
  std::vector<fs::path> folders = {prefix / "etc"};
  if (const auto xdg = environment_variable("XDG_CONFIG_HOME"); xdg && !xdg->empty())
    folders.emplace_back(*xdg);
  else if (const auto home = environment_variable("HOME"))
    folders.push_back(fs::path(*home) / ".config");
  std::vector<std::string> files;
  std::error_code ignored;
  for (const fs::path& folder : folders)
    if (const fs::path file = folder / "triga" / "site.yaml"; fs::exists(file, ignored))
      files.push_back(file.string());
  return files;
}

double quota_in(const std::string& path) {
  std::ifstream file(path);
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return INFINITY;
  return std::strtod(quota.c_str(), nullptr) / period;
}

double number_in(const std::string& path) {
  std::ifstream file(path);
  double number = 0;
  return file >> number ? number : -1;
}

/// Limit of the control groups that this process is in: containers and Slurm set it.
double control_group_cores() {
  double cores = INFINITY;
  const ControlGroups groups = control_groups("cpu");
  for (const std::string& folder : groups.version2)
    cores = std::min(cores, quota_in(folder + "cpu.max"));
  for (const std::string& folder : groups.version1) {
    const double quota = number_in(folder + "cpu.cfs_quota_us");  // -1: none
    const double period = number_in(folder + "cpu.cfs_period_us");
    if (quota > 0 && period > 0) cores = std::min(cores, quota / period);
  }
  return cores;
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

/// MPICH, Intel MPI and MVAPICH tell their processes their number so: Open MPI does not read it.
std::string problem_of_foreign_launcher(const VariableLookup& variable) {
  for (const char* name : {"PMI_SIZE", "MV2_COMM_WORLD_SIZE"})
    if (const int num_processes = number(variable(name), 1); num_processes > 1)
      return "the launcher of another MPI started " + std::to_string(num_processes) +
             " processes (" + name +
             " is set, as by MPICH, Intel MPI and their likes), so that each would be alone; start "
             "them with the mpirun of Open MPI (`triga doctor` says which one is in PATH), or: "
             "triga launch";
  return "";
}

/// Open MPI's mpirun sets OMPI_*; srun --mpi=pmix sets PMIX_RANK and Slurm's variables of the step.
/// An allocation sets SLURM_NTASKS too, and where Slurm makes the shell of salloc a step of its own,
/// PMIX_RANK as well: there, this process is alone.
Placement read_placement(const VariableLookup& variable) {
  Placement place;
  if (variable("OMPI_COMM_WORLD_SIZE") && variable("OMPI_COMM_WORLD_RANK")) {
    place.launcher = "Open MPI";
    place.world_size = number(variable("OMPI_COMM_WORLD_SIZE"), 1);
    place.rank = number(variable("OMPI_COMM_WORLD_RANK"), 0);
    place.local_rank = number(variable("OMPI_COMM_WORLD_LOCAL_RANK"), 0);
    place.local_size = number(variable("OMPI_COMM_WORLD_LOCAL_SIZE"), 1);
  } else if (is_slurm_step(variable)) {
    const int num_tasks =
        number(variable("SLURM_STEP_NUM_TASKS"), number(variable("SLURM_NTASKS"), 1));
    if (!variable("PMIX_RANK")) {
      if (num_tasks > 1)
        place.problem = "srun started " + std::to_string(num_tasks) +
                        " tasks without PMIx, so that each would be alone; start them with: srun "
                        "--mpi=pmix (`srun --mpi=list` says what this Slurm has)";
      return place;
    }
    place.launcher = "PMIx";
    place.world_size = num_tasks;
    place.rank = number(variable("PMIX_RANK"), 0);
    place.local_rank = number(variable("SLURM_LOCALID"), 0);
    place.local_size = tasks_of_node(variable("SLURM_STEP_TASKS_PER_NODE").value_or("1"),
                                     number(variable("SLURM_NODEID"), 0));
  } else {
    place.problem = problem_of_foreign_launcher(variable);
  }
  return place;
}

std::string world_problem(const Placement& placement, int mpi_size) {
  if (mpi_size == placement.world_size) return "";
  return placement.launcher + " started " + std::to_string(placement.world_size) +
         " processes, and MPI brought " + std::to_string(mpi_size) +
         (mpi_size == 1 ? " of them together: each would train alone" : " of them together") +
         ".\n  The MPI that Triga opens does not fit the launcher: use mpirun of the same "
         "installation (`triga doctor` compares them), or under Slurm a PMIx that this MPI knows "
         "(`srun --mpi=list`)";
}

std::string rank_problem(const Placement& placement, const std::string& command) {
  if (placement.is_shell()) return "";
  if (placement.is_launched())
    return command + " runs inside a rank of " + placement.launcher +
           " already; there, the command is: triga train EXPERIMENT";
  if (!placement.problem.empty())
    return command + " was started several times at once: " + placement.problem +
           ". It starts ranks itself: run it once";
  return "";
}

bool is_of_a_step(const std::string& name) {
  // These are the user's, or the site's.
  if (name.starts_with("PMIX_MCA_") || name == "PMIX_INSTALL_PREFIX") return false;
  constexpr std::string_view kBeginnings[] = {"PMIX", "PMI_", "SLURM_STEP"};
  constexpr std::string_view kNames[] = {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
                                         "SLURM_GTIDS", "SLURM_TASK_PID"};
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return name.starts_with(beginning); }) ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

void forget_step() {
  std::vector<std::string> names;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : names)
    if (is_of_a_step(name)) ::unsetenv(name.c_str());
}

bool is_bound_by_default(const VariableLookup& variable) {
  return variable("OMPI_MCA_orte_bound_at_launch") &&
         !variable("OMPI_MCA_hwloc_base_binding_policy") &&
         !variable("OMPI_MCA_rmaps_base_mapping_policy");
}

void widen_default_binding(const VariableLookup& variable) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (is_bound_by_default(variable) && ::sched_getaffinity(::getppid(), sizeof(mask), &mask) == 0 &&
      CPU_COUNT(&mask) > num_cores_of(0))
    ::sched_setaffinity(0, sizeof(mask), &mask);  // where it is forbidden, the mask stays
}

CoreCounts count_cores(const VariableLookup& variable) {
  CoreCounts cores;
  cores.mine = std::max(1, num_cores_of(0));
  // The launcher's daemon is bound to nothing: its mask is that of the container or the job.
  cores.of_all = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (const int parent = num_cores_of(::getppid())) cores.of_all = std::min(cores.of_all, parent);
  cores.of_all = std::min(cores.of_all, number(variable("SLURM_CPUS_ON_NODE"), cores.of_all));
  cores.quota = control_group_cores();
  return cores;
}

int num_threads(const CoreCounts& cores, int local_size) {
  local_size = std::max(1, local_size);
  const int share = std::min(cores.mine, cores.of_all / local_size);
  const double limit = std::ceil(cores.quota / local_size);
  return std::max(1, limit < share ? static_cast<int>(limit) : share);
}

CommandEnvironment read_environment() {
  CommandEnvironment environment;
  environment.executable = fs::read_symlink("/proc/self/exe");
  environment.prefix = environment.executable.parent_path().parent_path();
  environment.data_dir = environment_variable("TRIGA_DATA_DIR").value_or("data");
  environment.data_mirror = environment_variable("TRIGA_DATA_MIRROR").value_or("");
  environment.cache_dir = fs::absolute(cache_folder());
  environment.plugin_folders.push_back(environment.prefix / "lib" / "triga" / "plugins");
  environment.site_files = find_site_files(environment.prefix);
  const std::string more = environment_variable("TRIGA_PLUGIN_PATH").value_or("");
  for (size_t begin = 0; begin < more.size();) {
    const size_t end = std::min(more.find(':', begin), more.size());
    if (end > begin)
      environment.plugin_folders.push_back(fs::absolute(more.substr(begin, end - begin)));
    begin = end + 1;
  }
  environment.placement = read_placement(environment_variable);
  environment.allocation = read_allocation(environment_variable);
  environment.is_terminal = ::isatty(STDOUT_FILENO) == 1;
  environment.use_color = environment.is_terminal && !environment_variable("NO_COLOR");
  winsize window{};
  if (environment.is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 &&
      window.ws_col > 0)
    environment.terminal_columns = window.ws_col;
  environment.is_root = ::geteuid() == 0;
  environment.nccl_host = environment_variable("NCCL_HOSTID").value_or("");
  return environment;
}

}  // namespace triga
