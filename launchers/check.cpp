// triga check: every check of an experiment that needs no GPU and no MPI. Exit 0, or the status of
// what is wrong.
#include <fmt/format.h>

#include <iostream>

#include "launchers/command.h"
#include "launchers/loaded_experiment.h"

namespace triga {
namespace {

ExitStatus check(const CommandEnvironment& environment, const ExperimentArguments& arguments) {
  const LoadedExperiment loaded(environment, arguments);
  const Assembly assembly = loaded.assemble(environment, /*with_data=*/true);
  assembly.make_optimizer();
  assembly.make_schedule(loaded.experiment().train.max_steps.value_or(1));
  int64_t num_parameters = 0;
  std::map<std::string, bool> seen;  // a tied parameter counts once
  for (const LayerSpec& spec : assembly.architecture->layers()) {
    const std::unique_ptr<Layer> layer = spec.build();
    for (const Parameter& parameter : layer->parameters())
      if (!std::exchange(seen[parameter.spec().name], true))
        num_parameters += parameter.spec().numel();
  }
  std::cout << fmt::format(
      "{}: ok. {} {} of {:L} parameters; {:L} training samples{}\n", arguments.file,
      loaded.experiment().model.plugin, loaded.experiment().model.kind, num_parameters,
      assembly.train->size(),
      assembly.validation ? fmt::format(", {:L} for validation", assembly.validation->size()) : "");
  return ExitStatus::kDone;
}

}  // namespace

void add_check(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<ExperimentArguments>();
  CLI::App* sub = app.add_subcommand(
      "check", "Check an experiment: keys, values, plugins, data. Needs no GPU and no MPI.");
  arguments->add_file_to(*sub);
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return check(command.environment, *arguments); };
  });
}

}  // namespace triga
