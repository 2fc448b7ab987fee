// triga submit: an experiment as a job of Slurm. What can be found wrong here, before it waits in a
// queue, is refused here.
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <iostream>

#include "base/absolute_path.h"
#include "checkpoint/reader.h"
#include "launchers/check.h"
#include "launchers/command.h"
#include "launchers/doctor_files.h"
#include "launchers/experiment_arguments.h"
#include "launchers/loaded_experiment.h"
#include "launchers/programs.h"
#include "launchers/slurm_script.h"
#include "trainer/resume.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

struct SubmitArguments {
  ExperimentArguments experiment;
  std::vector<std::string> sbatch;
  bool print = false;
};

SlurmJob make_job(const CommandEnvironment& environment, const SubmitArguments& arguments,
                  const LoadedExperiment& loaded) {
  const ExperimentArguments& experiment = arguments.experiment;
  SlurmJob job;
  job.name = loaded.experiment().name;
  job.launch = loaded.experiment().launch;
  job.working_directory = fs::current_path();
  job.run_directory = without_slash_at_end(absolute_path(loaded.run_directory()));
  job.sbatch = arguments.sbatch;
  for (const char* name : kTrigaVariables)
    if (const auto value = environment_variable(name)) job.variables[name] = *value;
  job.variables[kStartCommandVariable] = command_to_go_on(environment.words);
  job.program = rank_program(job.launch, environment.executable);
  job.arguments = {"train", absolute_path(experiment.file).string(), "--progress",
                   experiment.progress == "bar" ? "bar" : "lines"};
  for (const std::string& setting : experiment.overrides)
    job.arguments.insert(job.arguments.end(), {"--set", setting});
  if (experiment.profile_steps > 0)
    job.arguments.insert(job.arguments.end(),
                         {"--profile", std::to_string(experiment.profile_steps)});
  if (experiment.fresh) job.first_arguments = {"--fresh"};
  if (experiment.resume != "auto")
    job.first_arguments = {"--resume", absolute_path(experiment.resume).string()};
  job.written_by = fmt::format("A job of Triga, by {}", environment.executable.string());
  return job;
}

/// A warning, and no more: the job's hosts may have other file systems mounted there.
void warn_of_unshared_folder(const SlurmJob& job) {
  const FolderPlace place = find_place(job.run_directory);
  const std::string unshared = sharing_problem(place, static_cast<int>(job.launch.nodes));
  if (place.error != 0 || unshared.empty()) return;
  std::cerr << fmt::format(
      "triga: warning: the run's folder {} is to lie on {}: as far as this host can tell, {}; a "
      "folder on the file system that all hosts share: --run-dir DIR\n",
      job.run_directory.string(), place.kind.name, unshared);
}

/// What sbatch printed. Throws: Error when it refused; it has said why.
std::string run_sbatch(const fs::path& sbatch, const fs::path& script) {
  const std::string line = shell_line({sbatch.string(), "--parsable", script.string()});
  std::FILE* pipe = ::popen(line.c_str(), "r");
  TRIGA_CHECK(pipe != nullptr, "cannot run ", line);
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  const int status = ::pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw ConfigError(fmt::format(
        "sbatch refused the job; its reason is above. The script: {}\n  What a job asks for stands "
        "in `launch` of the experiment and in site files (triga describe); triga submit --print "
        "shows the script.",
        script.string()));
  return output.substr(0, output.find_first_of(";\n"));  // "12;cluster"
}

ExitStatus submit(const CommandEnvironment& environment, const SubmitArguments& arguments) {
  // A shell in a step of its own (srun --pty bash) is a rank too where the site's default is PMIx.
  const Placement& place = environment.placement;
  if (place.is_launched() && !place.is_shell())
    throw ConfigError("triga submit runs inside a rank of " + environment.placement.launcher +
                      "; jobs are submitted from outside of runs");
  if (const auto problem = rank_problem(place, "triga submit"); !problem.empty())
    throw ConfigError(problem);
  const LoadedExperiment loaded(environment, arguments.experiment,
                                LoadedExperiment::Purpose::kLook);
  const SlurmJob job = make_job(environment, arguments, loaded);
  const StartRequest start{RunDirectory{job.run_directory}, arguments.experiment.resume,
                           arguments.experiment.fresh};
  const bool goes_on = job.launch.array.empty() && asks_to_go_on(posix_files(), start);
  const auto checkpoints = checkpoints_of_run(posix_files(), job.run_directory);
  const bool has_state = goes_on && ((checkpoints && !checkpoints->empty()) ||
                                     exists(posix_files(), start.directory.origin()));
  std::cerr << check_experiment(environment, loaded, std::nullopt,
                                /*begins=*/!has_state && start.resume == "auto")
            << "\n";
  if (goes_on &&
      is_finished_run(posix_files(), RunDirectory{job.run_directory}, loaded.resolved().node)) {
    std::cout << job.run_directory.string()
              << ": finished already. To train longer, raise its limit; to start anew: --fresh\n";
    return ExitStatus::kDone;
  }
  warn_of_unshared_folder(job);
  const std::string script = slurm_script(job);
  if (arguments.print) {
    std::cout << script;
    return ExitStatus::kDone;
  }
  const fs::path sbatch = find_program("sbatch");
  if (sbatch.empty())
    throw ConfigError(
        "sbatch is not in PATH: jobs are submitted on a host of a cluster with Slurm. triga submit "
        "--print shows the script");
  make_directories(posix_files(), job.run_directory.parent_path());
  fs::path file = job.run_directory;
  file += ".sbatch";
  atomic_write(posix_files(), file, script);
  const std::string number = run_sbatch(sbatch, file);
  std::cout << "job " << number << " is submitted; to end it: scancel " << number << "\n"
            << "  script  " << file.string() << "\n"
            << "  log     " << slurm_log(job, number, "*").string() << "\n"
            << "  run     " << job.run_directory.string()
            << (job.launch.array.empty() ? "" : "/TASK") << "\n";
  return ExitStatus::kDone;
}

}  // namespace

void add_submit(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<SubmitArguments>();
  CLI::App* sub = app.add_subcommand(
      "submit", "Give an experiment to Slurm: check it, write the job's script, and submit it.");
  arguments->experiment.add_to(*sub);
  arguments->experiment.add_site_to(*sub);
  arguments->experiment.stand_ins["SLURM_ARRAY_TASK_ID"] = "0";
  sub->add_flag("--print", arguments->print, "Show the script; write and submit nothing");
  sub->add_option("--sbatch", arguments->sbatch,
                  "Further arguments for sbatch, each with its own --sbatch")
      ->allow_extra_args(false)
      ->expected(1)
      ->take_all();
  sub->footer(
      "\nExamples:\n  triga submit a.yaml --print\n"
      "  triga submit a.yaml --set launch.nodes=2 --set launch.ranks_per_node=4 --set "
      "launch.gpus_per_node=4\n"
      "  triga submit a.yaml --set launch.array=0-7 --set "
      "'train.seed=${env:SLURM_ARRAY_TASK_ID}'\n"
      "  triga submit a.yaml --site my-cluster.yaml --sbatch=--dependency=afterok:12\n\n"
      "The job saves before its time limit and goes back into the queue until the run is done; so "
      "it "
      "does after a lost\nhost, as long as each start gains steps. docs/clusters.md says more.");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return submit(command.environment, *arguments); };
  });
}

}  // namespace triga
