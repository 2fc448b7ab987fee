// LoadedModel: a trained model in one process, from a run, a checkpoint, or any model directory:
// what evaluate and generate work with.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/reader.h"
#include "comm/communicator.h"
#include "launchers/loaded_experiment.h"
#include "parallel/strategy.h"

namespace triga {

struct ModelArguments {
  std::string path;                    // a run directory, a checkpoint, or a model directory
  std::string experiment;              // for a directory that no run wrote
  std::vector<std::string> overrides;  // --set

  void add_to(CLI::App& app);
};

class LoadedModel {
 public:
  /// `splits`: the datasets to open. Says on stderr which checkpoint it took. Throws:
  /// CheckpointError, ConfigError, PluginError, DataError.
  LoadedModel(const CommandEnvironment& environment, const ModelArguments& arguments,
              const std::set<std::string>& splits);

  const Experiment& experiment() const { return experiment_->experiment(); }
  const Assembly& assembly() const { return assembly_; }
  Strategy& strategy() { return *strategy_; }
  const ChosenCheckpoint& checkpoint() const { return chosen_; }
  /// Its text files, name -> content.
  const std::map<std::string, std::string>& files() const { return files_; }

 private:
  ChosenCheckpoint chosen_;
  std::map<std::string, std::string> files_;
  std::unique_ptr<LoadedExperiment> experiment_;
  Assembly assembly_;
  std::unique_ptr<Communicator> world_;
  std::unique_ptr<Strategy> strategy_;
};

}  // namespace triga
