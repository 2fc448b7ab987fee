#include "launchers/environment.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace triga {
namespace {

namespace fs = std::filesystem;

int number(const std::optional<std::string>& text, int otherwise) {
  if (!text || text->empty()) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text->c_str(), &end, 10);
  return *end == '\0' ? static_cast<int>(value) : otherwise;
}

/// Open MPI's mpirun sets OMPI_*; srun --mpi=pmix sets PMIX_RANK and Slurm's variables of the step.
/// A bare allocation (salloc) sets SLURM_NTASKS too, but no rank: there, this process is alone.
Placement read_placement() {
  Placement place;
  const auto variable = environment_variable;
  if (variable("OMPI_COMM_WORLD_SIZE") && variable("OMPI_COMM_WORLD_RANK")) {
    place.launcher = "Open MPI";
    place.world_size = number(variable("OMPI_COMM_WORLD_SIZE"), 1);
    place.rank = number(variable("OMPI_COMM_WORLD_RANK"), 0);
    place.local_rank = number(variable("OMPI_COMM_WORLD_LOCAL_RANK"), 0);
    place.local_size = number(variable("OMPI_COMM_WORLD_LOCAL_SIZE"), 1);
  } else if (variable("PMIX_RANK") && variable("SLURM_STEP_ID")) {
    place.launcher = "PMIx";
    place.world_size =
        number(variable("SLURM_STEP_NUM_TASKS"), number(variable("SLURM_NTASKS"), 1));
    place.rank = number(variable("PMIX_RANK"), 0);
    place.local_rank = number(variable("SLURM_LOCALID"), 0);
    place.local_size = number(variable("SLURM_STEP_TASKS_PER_NODE"), 1);
  }
  return place;
}

fs::path cache_folder() {
  if (const auto own = environment_variable("TRIGA_CACHE_DIR")) return *own;
  if (const auto xdg = environment_variable("XDG_CACHE_HOME")) return fs::path(*xdg) / "triga";
  if (const auto home = environment_variable("HOME")) return fs::path(*home) / ".cache" / "triga";
  return fs::temp_directory_path() / "triga-cache";
}

/// Limit of the control group (version 2) that this process is in: containers and Slurm set it.
double control_group_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return INFINITY;
  return std::strtod(quota.c_str(), nullptr) / period;
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

int num_usable_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int num_cores = static_cast<int>(std::thread::hardware_concurrency());
  if (::sched_getaffinity(0, sizeof(mask), &mask) == 0) num_cores = CPU_COUNT(&mask);
  const double limit = control_group_cores();
  if (limit < num_cores) num_cores = static_cast<int>(std::ceil(limit));
  return std::max(1, num_cores);
}

CommandEnvironment read_environment() {
  CommandEnvironment environment;
  environment.executable = fs::read_symlink("/proc/self/exe");
  environment.prefix = environment.executable.parent_path().parent_path();
  environment.data_dir = environment_variable("TRIGA_DATA_DIR").value_or("data");
  environment.data_mirror = environment_variable("TRIGA_DATA_MIRROR").value_or("");
  environment.cache_dir = fs::absolute(cache_folder());
  environment.plugin_folders.push_back(environment.prefix / "lib" / "triga" / "plugins");
  const std::string more = environment_variable("TRIGA_PLUGIN_PATH").value_or("");
  for (size_t begin = 0; begin < more.size();) {
    const size_t end = std::min(more.find(':', begin), more.size());
    if (end > begin)
      environment.plugin_folders.push_back(fs::absolute(more.substr(begin, end - begin)));
    begin = end + 1;
  }
  environment.placement = read_placement();
  environment.is_terminal = ::isatty(STDOUT_FILENO) == 1;
  environment.use_color = environment.is_terminal && !environment_variable("NO_COLOR");
  winsize window{};
  if (environment.is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 &&
      window.ws_col > 0)
    environment.terminal_columns = window.ws_col;
  environment.is_root = ::geteuid() == 0;
  return environment;
}

}  // namespace triga
