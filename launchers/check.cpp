// triga check: every check of an experiment that needs no GPU and no MPI. Exit 0, or the status of
// what is wrong.
#include "launchers/check.h"

#include <fmt/format.h>

#include <iostream>

#include "launchers/command.h"
#include "launchers/loaded_experiment.h"
#include "trainer/experiment_plan.h"
#include "trainer/model_check.h"

namespace triga {
namespace {

/// Of the ranks that `triga launch` would start.
void check_launch(const LoadedExperiment& loaded) {
  const LaunchConfig& launch = loaded.experiment().launch;
  const auto num_ranks = static_cast<int>(launch.num_ranks());
  try {
    loaded.check_grid(num_ranks);
  } catch (const ConfigError& error) {
    auto problems = error.problems;
    for (ConfigError::Problem& problem : problems)
      problem.message +=
          c10::str(launch.nodes == 1 ? " (launch.ranks_per_node is "
                                     : " (launch.nodes * launch.ranks_per_node is ",
                   num_ranks, "; for another number of ranks: triga check -n RANKS)");
    throw ConfigError(std::move(problems));
  }
}

}  // namespace

std::string check_experiment(const CommandEnvironment& environment, const LoadedExperiment& loaded,
                             std::optional<int> num_ranks, bool begins) {
  const auto launch_ranks = static_cast<int>(loaded.experiment().launch.num_ranks());
  if (num_ranks)
    loaded.check_grid(*num_ranks);
  else
    check_launch(loaded);
  const Assembly assembly = loaded.assemble(environment, {"train", "validation", "test"});
  assembly.make_optimizer();
  assembly.make_schedule(loaded.experiment().train.max_steps.value_or(1));
  const int64_t num_parameters = check_model(loaded.experiment(), assembly, posix_files(), begins);
  const ParallelConfig& parallel = loaded.experiment().parallel;
  first_schedule(loaded.experiment(), assembly,
                 resolve_grid(num_ranks.value_or(launch_ranks), parallel.dp, parallel.pp));
  return fmt::format(
      "{}: ok. {} {} of {:L} parameters; {:L} training samples{}", loaded.file(),
      loaded.experiment().model.plugin, loaded.experiment().model.kind, num_parameters,
      assembly.train->size(),
      assembly.validation ? fmt::format(", {:L} for validation", assembly.validation->size()) : "");
}

void add_check(CLI::App& app, Command& command) {
  struct Options {
    ExperimentArguments experiment;
    std::optional<int> num_ranks;
  };
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand(
      "check", "Check an experiment: keys, values, plugins, data. Needs no GPU and no MPI.");
  options->experiment.add_file_to(*sub);
  options->experiment.add_site_to(*sub);
  sub->add_option("-n", options->num_ranks,
                  "Number of ranks that are to share its work. Default: launch.nodes * "
                  "launch.ranks_per_node, as `triga launch` and `triga submit` have it");
  sub->footer(
      "\nExamples:\n  triga check experiments/quickstart.yaml\n"
      "  triga check a.yaml -n 8 --set parallel.dp=8\n\n"
      "Exit status: 0, or that of what is wrong: 2 the experiment, 3 a plugin, 4 data, 5 weights "
      "to "
      "start from.");
  sub->callback([&command, options] {
    command.run = [&command, options] {
      const LoadedExperiment loaded(command.environment, options->experiment,
                                    LoadedExperiment::Purpose::kLook);
      std::cout << check_experiment(command.environment, loaded, options->num_ranks) << "\n";
      return ExitStatus::kDone;
    };
  });
}

}  // namespace triga
