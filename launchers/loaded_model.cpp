#include "launchers/loaded_model.h"

#include <fmt/format.h>

#include <iostream>

#include "checkpoint/initialize.h"
#include "comm/local_communicator.h"
#include "trainer/snapshot_of_run.h"

namespace triga {
namespace {

std::string experiment_file(const ModelArguments& arguments, const Path& checkpoint) {
  if (!arguments.experiment.empty()) return arguments.experiment;
  const Path file = checkpoint / "training" / "resolved.yaml";
  if (!std::filesystem::exists(file))
    throw CheckpointError(
        fmt::format("{}: no run of Triga wrote this directory, so it does not say how to build the "
                    "model; name an experiment that does: --experiment FILE.yaml",
                    checkpoint.string()));
  return file.string();
}

}  // namespace

void ModelArguments::add_to(CLI::App& app) {
  app.add_option("run_or_checkpoint", path,
                 "A run directory (its best checkpoint, else the latest), a checkpoint, or a model "
                 "directory")
      ->required();
  app.add_option("--experiment", experiment,
                 "Experiment that says how to build the model of a directory that no run wrote");
  app.add_option("--set", overrides, "Override a key of the experiment (may be repeated)")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("KEY=VALUE");
}

LoadedModel::LoadedModel(const CommandEnvironment& environment, const ModelArguments& arguments,
                         const std::set<std::string>& splits)
    : chosen_(choose_checkpoint(posix_files(), arguments.path)),
      files_(read_model_files(posix_files(), chosen_.directory)) {
  for (const std::string& sentence : chosen_.passed_over)
    std::cerr << "triga: warning: " << sentence << "\n";
  if (chosen_.why != "given")
    std::cerr << fmt::format("triga: the {} checkpoint: {}\n", chosen_.why,
                             chosen_.directory.string());
  ExperimentArguments experiment;
  experiment.file = experiment_file(arguments, chosen_.directory);
  experiment.overrides = arguments.overrides;
  experiment_ = std::make_unique<LoadedExperiment>(environment, experiment,
                                                   LoadedExperiment::Purpose::kCompute);
  assembly_ = experiment_->assemble(environment, splits, files_);
  world_ = experiment_->device().attach(make_single_communicator(), std::chrono::minutes(5));
  Strategy::Options options = strategy_options_of(experiment_->experiment());
  options.zero = 0;  // nothing is trained, in one process
  strategy_ = std::make_unique<Strategy>(*assembly_.architecture, *world_, options,
                                         assembly_.make_optimizer());
  strategy_->add_metrics(assembly_.make_metrics());
  load_weights(*strategy_, *assembly_.architecture, posix_files(), chosen_.directory, {});
}

}  // namespace triga
