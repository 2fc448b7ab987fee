// triga doctor: can ranks find each other? MPI's library, its mpirun, PMIx, the scheduler.
#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <utility>

#include "comm/mpi_communicator.h"
#include "launchers/doctor.h"
#include "launchers/programs.h"

namespace triga {
namespace {

constexpr const char* kMpi = "MPI";
constexpr const char* kScheduler = "scheduler";
constexpr const char* kInstall =
    "install Open MPI 4.1 or newer (Debian: apt-get install openmpi-bin; clusters: module load "
    "openmpi)";

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// `version`: "4.1.4".
bool is_older(const std::string& version, int major, int minor) {
  std::istringstream text(version);
  int of_major = 0, of_minor = 0;
  char dot = 0;
  text >> of_major >> dot >> of_minor;
  return std::pair(of_major, of_minor) < std::pair(major, minor);
}

std::string line_with(const std::string& text, const std::string& part) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.find(part) != std::string::npos) return line.substr(line.find_first_not_of(' '));
  return "";
}

}  // namespace

std::string version_in(const std::string& text) {
  const auto is_part = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') continue;
    size_t end = i;
    while (end < text.size() && is_part(text[end])) ++end;
    std::string version = text.substr(i, end - i);
    while (version.ends_with('.')) version.pop_back();
    if (version.find('.') != std::string::npos) return version;
    i = end;
  }
  return "";
}

Findings judge_mpi(const std::string& library, const std::string& reason, const std::string& mpirun,
                   const std::string& mpirun_path, bool is_needed) {
  if (library.empty()) {
    if (is_needed) return {problem(kMpi, reason, kInstall, ExitStatus::kCommunication)};
    return {warning(kMpi, "none: one rank is all that can run here. " + reason, kInstall)};
  }
  Findings findings;
  const std::string version = version_in(library);
  const bool is_open_mpi = library.find("Open MPI") != std::string::npos;
  if (!is_open_mpi || is_older(version, 4, 1))
    findings.push_back(problem(kMpi, library + ", which Triga is not made for", kInstall,
                               ExitStatus::kCommunication));
  else
    findings.push_back(ok(kMpi, library));
  if (mpirun_path.empty()) {
    findings.push_back(
        warning(kMpi, "mpirun is not in PATH: triga launch cannot start more than one rank",
                std::string(kInstall) + "; under Slurm srun --mpi=pmix starts them without it"));
  } else if (version_in(mpirun).empty()) {
    findings.push_back(problem(
        kMpi,
        mpirun_path + " does not work: " + (mpirun.empty() ? "no answer" : first_line(mpirun)),
        "see what `mpirun --version` says; " + std::string(kInstall), ExitStatus::kCommunication));
  } else if (mpirun.find("Open MPI") == std::string::npos &&
             mpirun.find("OpenRTE") == std::string::npos) {
    findings.push_back(problem(
        kMpi, mpirun_path + " is of another MPI (" + first_line(mpirun) + ")",
        "put the bin/ of " + library + " first in PATH: ranks that it starts would each be alone",
        ExitStatus::kCommunication));
  } else if (version_in(mpirun) != version) {
    findings.push_back(problem(
        kMpi,
        fmt::format("{} is version {}, the library that Triga opens {}", mpirun_path,
                    version_in(mpirun), version),
        "make PATH and LD_LIBRARY_PATH those of one installation (module purge, then one module)",
        ExitStatus::kCommunication));
  } else {
    findings.push_back(ok(kMpi, mpirun_path + ", of the same version"));
  }
  return findings;
}

Findings judge_mpi_parts(const std::string& ompi_info, const std::string& scheduler) {
  if (ompi_info.empty()) return {};
  Findings findings;
  if (ompi_info.find("MPI_THREAD_MULTIPLE: yes") == std::string::npos)
    findings.push_back(
        problem(kMpi, "built without MPI_THREAD_MULTIPLE, which Triga needs",
                "another Open MPI (configure --enable-mpi-thread-multiple before 4.0)",
                ExitStatus::kCommunication));
  if (scheduler == "Slurm" && line_with(ompi_info, "MCA ras: slurm").empty())
    findings.push_back(warning(kMpi,
                               "built without Slurm: its mpirun does not know the hosts of a job",
                               "start ranks with srun --mpi=pmix (triga submit does), or name "
                               "hosts: triga launch --hosts"));
  return findings;
}

std::vector<PmixComponent> pmix_components(const std::string& ompi_info) {
  // mca:pmix:ext3x:version:"component:4.1.4"
  // mca:pmix:ext3x:param:pmix_ext3x_library_version:value:"PMIx library version OpenPMIx 4.2.2"
  constexpr std::string_view kLine = "mca:pmix:", kVersion = "_library_version:value:";
  std::vector<PmixComponent> components;
  std::istringstream lines(ompi_info);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kLine)) continue;
    const std::string name = line.substr(kLine.size(), line.find(':', kLine.size()) - kLine.size());
    if (name.empty() || name == "base") continue;  // base: of all of them
    auto component = std::find_if(components.begin(), components.end(),
                                  [&name](const auto& known) { return known.name == name; });
    if (component == components.end())
      component = components.insert(components.end(), PmixComponent{name, ""});
    if (const size_t at = line.find(kVersion); at != std::string::npos)
      component->version = version_in(line.substr(at + kVersion.size()));
  }
  return components;
}

Finding judge_pmix(const std::string& library, const std::vector<PmixComponent>& components) {
  std::vector<std::string> found, others;
  for (const PmixComponent& component : components)
    if (component.speaks_pmix())
      found.push_back(
          fmt::format("{}{} ({})", component.is_own() ? "Open MPI's own" : "an external library",
                      component.version.empty() ? "" : " " + component.version, component.name));
    else
      others.push_back(component.name);
  if (!found.empty()) return ok(kMpi, "PMIx: " + c10::Join(", ", found));
  if (!is_older(version_in(library), 5, 0))
    return ok(kMpi, "PMIx: the library that it was built with (pmix_info says which)");
  if (others.empty()) return ok(kMpi, "PMIx: not known (ompi_info --param pmix all names none)");
  return warning(
      kMpi,
      fmt::format("it has no PMIx ({}), so ranks that srun starts would not find each other",
                  c10::Join(", ", others)),
      "another Open MPI (configure --with-pmix); where OMPI_MCA_pmix is set, unset it");
}

std::vector<std::string> pmix_of_srun(const std::string& list) {
  std::string separated = list;  // "specific pmix plugin versions available: pmix_v3,pmix_v4"
  std::replace(separated.begin(), separated.end(), ',', ' ');
  std::vector<std::string> kinds;
  std::istringstream words(separated);
  for (std::string word; words >> word;)
    if (word.starts_with("pmix") && std::find(kinds.begin(), kinds.end(), word) == kinds.end())
      kinds.push_back(word);
  return kinds;
}

Finding judge_srun(const std::string& list) {
  if (const auto kinds = pmix_of_srun(list); !kinds.empty())
    return ok(kScheduler, "srun has " + c10::Join(", ", kinds));
  if (list.find("error:") != std::string::npos)
    return warning(kScheduler, "srun does not work here: " + first_line(list),
                   "no matter on a host that is not of the cluster");
  return warning(
      kScheduler,
      "srun has no PMIx (srun --mpi=list), so ranks that it starts would not find each other",
      "ask the site for Slurm's PMIx plugin, or use triga launch inside of salloc");
}

Finding judge_placement(const Placement& placement, const std::optional<Allocation>& allocation,
                        int wished_hosts) {
  if (placement.problem.starts_with("srun"))  // it is how doctor is to be started on every host
    return warning(kScheduler, placement.problem,
                   "no matter for triga doctor itself, which needs no PMIx");
  if (!placement.problem.empty())
    return problem(kScheduler, placement.problem, "", ExitStatus::kUsage);
  const std::string job = allocation ? describe(*allocation) : "";
  if (placement.is_launched())
    return ok(kScheduler, fmt::format("this is rank {} of {} that {} started{}", placement.rank,
                                      placement.world_size, placement.launcher,
                                      job.empty() ? "" : ", in " + job));
  if (allocation && allocation->num_hosts < wished_hosts)
    return warning(kScheduler,
                   fmt::format("{}, and the experiment wants {} hosts", job, wished_hosts),
                   "ask for a job of that size, or set launch.nodes");
  if (allocation)
    return ok(kScheduler, "in " + job +
                              ", in none of its steps: here triga train is a run of one rank; on "
                              "all its hosts: triga launch");
  return ok(kScheduler, "in no job");
}

Findings look_at_mpi(const Wishes& wishes) {
  std::string library, reason;
  try {
    library = mpi_version({});
  } catch (const CommError& error) {
    reason = first_line(error.what());
  }
  const auto mpirun = find_program("mpirun"), ompi_info = find_program("ompi_info");
  const auto output_of = [](const std::filesystem::path& program,
                            const std::vector<std::string>& arguments) {
    if (program.empty()) return std::string();
    std::vector<std::string> line = {program.string()};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return run_program(line, std::chrono::seconds(10)).value_or("");
  };
  Findings findings = judge_mpi(library, reason, output_of(mpirun, {"--version"}), mpirun.string(),
                                wishes.needs_mpi());
  const std::string scheduler = find_program("sbatch").empty() ? "" : "Slurm";
  for (const Finding& finding : judge_mpi_parts(output_of(ompi_info, {}), scheduler))
    findings.push_back(finding);
  if (library.find("Open MPI") != std::string::npos)
    findings.push_back(judge_pmix(
        library, pmix_components(output_of(
                     ompi_info, {"--param", "pmix", "all", "--level", "9", "--parsable"}))));
  return findings;
}

Findings look_at_scheduler(const CommandEnvironment& environment, const Wishes& wishes) {
  Findings findings = {
      judge_placement(environment.placement, environment.allocation, wishes.num_hosts)};
  if (const auto srun = find_program("srun"); !srun.empty()) {
    const auto list = run_program({srun.string(), "--mpi=list"}, std::chrono::seconds(10));
    findings.push_back(list ? judge_srun(*list)
                            : warning(kScheduler, "srun is there, and cannot say what it has",
                                      "is this a host of the cluster? Try: srun --mpi=list"));
  }
  return findings;
}

}  // namespace triga
