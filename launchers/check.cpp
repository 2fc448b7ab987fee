// triga check: every check of an experiment that needs no GPU and no MPI. Exit 0, or the status of
// what is wrong.
#include "launchers/check.h"

#include <fmt/format.h>

#include <iostream>

#include "launchers/command.h"
#include "launchers/loaded_experiment.h"
#include "trainer/model_check.h"

namespace triga {

std::string check_experiment(const CommandEnvironment& environment,
                             const ExperimentArguments& arguments, std::optional<int> num_ranks) {
  const LoadedExperiment loaded(environment, arguments, LoadedExperiment::Purpose::kLook);
  if (num_ranks) loaded.check_grid(*num_ranks);
  const Assembly assembly = loaded.assemble(environment, /*with_data=*/true);
  assembly.make_optimizer();
  assembly.make_schedule(loaded.experiment().train.max_steps.value_or(1));
  const int64_t num_parameters = check_model(loaded.experiment(), assembly, posix_files());
  return fmt::format(
      "{}: ok. {} {} of {:L} parameters; {:L} training samples{}", arguments.file,
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
  sub->add_option("-n", options->num_ranks, "Also: whether so many ranks can share its work");
  sub->callback([&command, options] {
    command.run = [&command, options] {
      std::cout << check_experiment(command.environment, options->experiment, options->num_ranks)
                << "\n";
      return ExitStatus::kDone;
    };
  });
}

}  // namespace triga
