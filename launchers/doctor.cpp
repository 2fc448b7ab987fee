// triga doctor: what this machine can do, and what is wrong.
#include "launchers/doctor.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <iostream>

#include "launchers/command.h"
#include "launchers/doctor_files.h"
#include "launchers/doctor_gpu.h"
#include "launchers/loaded_experiment.h"
#include "triga/plugin.h"

namespace triga {
namespace {

struct DoctorArguments {
  ExperimentArguments experiment;
  std::string directory;
  bool as_json = false;
};

void append(Findings& all, Findings more) {
  for (Finding& finding : more) all.push_back(std::move(finding));
}

/// Where LibTorch is taken from: the link of the tree, and what lies there.
Finding judge_libtorch(const CommandEnvironment& environment) {
  std::error_code error;
  const auto link = environment.prefix / "lib" / "torch";
  const auto place = std::filesystem::canonical(link, error);
  const std::string version = std::string("LibTorch ") + TORCH_VERSION;
  if (error) return ok("software", version);
  const bool has_cuda = std::filesystem::exists(place / "libtorch_cuda.so", error);
  return ok("software", fmt::format("{}, {}, {}", version, has_cuda ? "with CUDA" : "for the CPU",
                                    place.string()));
}

/// What an experiment asks for. One that is wrong is a finding.
Findings read_wishes(const CommandEnvironment& environment, const DoctorArguments& arguments,
                     Wishes& wishes) {
  if (environment.allocation) wishes.num_hosts = environment.allocation->num_hosts;
  Findings findings;
  if (!arguments.experiment.file.empty()) {
    try {
      const LoadedExperiment loaded(environment, arguments.experiment,
                                    LoadedExperiment::Purpose::kLook);
      const LaunchConfig& launch = loaded.experiment().launch;
      wishes.num_ranks = static_cast<int>(launch.num_ranks());
      wishes.num_hosts = static_cast<int>(launch.nodes);
      wishes.device = loaded.experiment().train.device;
      wishes.run_directory = loaded.run_directory();
      findings.push_back(
          ok("experiment",
             fmt::format("{}: {} rank{} on {} host{}, device {}", loaded.experiment().name,
                         wishes.num_ranks, wishes.num_ranks == 1 ? "" : "s", wishes.num_hosts,
                         wishes.num_hosts == 1 ? "" : "s", wishes.device)));
    } catch (const Error& error) {
      findings.push_back(problem("experiment", error.what(), "triga check says all that is wrong",
                                 error.status()));
    }
  }
  if (!arguments.directory.empty()) wishes.run_directory = arguments.directory;
  return findings;
}

ExitStatus doctor(const CommandEnvironment& environment, const DoctorArguments& arguments) {
  Wishes wishes;
  Findings of_experiment = read_wishes(environment, arguments, wishes);
  Findings findings = look_at_software(environment);
  append(findings, look_at_mpi(wishes));
  append(findings, look_at_scheduler(environment, wishes));
  const GpuFacts gpus = gather_gpus();
  append(findings, look_at_gpus(gpus, wishes));
  append(findings, look_at_host(wishes, static_cast<int>(gpus.gpus.size())));
  append(findings, look_at_files(wishes));
  append(findings, std::move(of_experiment));
  if (arguments.as_json)
    print_json(findings, std::cout);
  else
    print_table(findings, environment.is_terminal ? environment.terminal_columns : 120, std::cout);
  return exit_status(findings);
}

}  // namespace

Findings look_at_software(const CommandEnvironment& environment) {
  Findings findings = {ok("software", "Triga " + own_version()), judge_libtorch(environment)};
  OpenRegistry kinds(environment);
  const auto found = kinds.host().search_path().all();
  for (const PluginSearchPath::Found& file : found) {
    try {
      const OpenPlugin& plugin = kinds.host().open(file.path.string());
      findings.push_back(ok(
          "plugins", fmt::format("{} {}, {}", plugin.name, plugin.version, plugin.path.string())));
    } catch (const PluginError& error) {
      findings.push_back(problem("plugins", error.what(),
                                 "triga plugin check FILE.so says more; or take the file away",
                                 error.status()));
    }
  }
  for (const auto& folder : environment.plugin_folders)
    if (std::error_code error; !std::filesystem::is_directory(folder, error))
      findings.push_back(warning("plugins", folder.string() + " is no folder",
                                 "TRIGA_PLUGIN_PATH names folders that are there, ':' between"));
  if (found.empty())
    findings.push_back(warning(
        "plugins", fmt::format("none in {}", environment.plugin_folders[0].string()),
        "an install has some in lib/triga/plugins; others: export TRIGA_PLUGIN_PATH=FOLDER"));
  return findings;
}

void add_doctor(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* sub =
      app.add_subcommand("doctor",
                         "What this machine can do and what is wrong: versions, plugins, MPI, "
                         "scheduler, GPUs, driver, memory, files. Needs no GPU and starts no MPI.");
  arguments->experiment.add_file_to(*sub);
  sub->get_option("experiment")
      ->required(false)
      ->description("What the machine is to be good for: its ranks, hosts, device and run folder");
  arguments->experiment.add_site_to(*sub);
  sub->add_option("--run-dir", arguments->directory,
                  "Folder that runs are to write to. Default: that of the experiment, or runs");
  sub->add_flag("--json", arguments->as_json, "One JSON object");
  sub->footer(
      "\nExamples:\n  triga doctor\n  triga doctor --run-dir /shared/runs\n  triga doctor a.yaml "
      "--set launch.nodes=2\n  srun -N 2 --ntasks-per-node=1 triga doctor --json   (each host; not "
      "for MPI)\n\n"
      "Exit status: 0 when nothing is wrong (warnings do not count), else that of a run that meets "
      "the first problem.");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return doctor(command.environment, *arguments); };
  });
}

}  // namespace triga
