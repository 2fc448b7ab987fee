// LoadedExperiment: an experiment read, its plugins opened, everything checked that needs no data
// and no MPI. What train, launch, check, evaluate and generate begin with.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "config/resolve.h"
#include "launchers/chosen_device.h"
#include "launchers/environment.h"
#include "launchers/experiment_arguments.h"
#include "plugin_host/plugin_host.h"
#include "trainer/assembly.h"
#include "triga/plugin.h"

namespace triga {

/// The core's kinds, and a host for plugins.
class OpenRegistry {
 public:
  explicit OpenRegistry(const CommandEnvironment& environment);
  Registry& registry() { return registry_; }
  const Registry& registry() const { return registry_; }
  PluginHost& host() { return *host_; }
  const PluginHost& host() const { return *host_; }
  /// "plugin transformer" -> "0.1.0 (content 1f2e3d...)", of those that are open: what tells a file
  /// from any other.
  std::map<std::string, std::string> identities() const;

 private:
  Registry registry_;
  std::unique_ptr<PluginHost> host_;
};

class LoadedExperiment {
 public:
  enum class Purpose { kLook, kCompute };

  /// To compute, its device is opened as well. Throws: ConfigError, PluginError.
  LoadedExperiment(const CommandEnvironment& environment, const ExperimentArguments& arguments,
                   Purpose purpose);

  const std::string& file() const { return arguments_.file; }
  const Experiment& experiment() const { return resolved_.experiment; }
  const ResolvedExperiment& resolved() const { return resolved_; }
  const OpenRegistry& kinds() const { return kinds_; }
  const ChosenDevice& device() const { return device_; }

  /// --run-dir, else runs/<name>.
  std::filesystem::path run_directory() const;
  /// Throws: ConfigError when so many ranks do not make the experiment's grid.
  void check_grid(int num_ranks) const;
  /// Tokenizer, architecture, and the datasets of these splits ("train", "validation", "test")
  /// that the experiment has. `checkpoint_files`: of the model that is opened, if one is. Throws:
  /// ConfigError, PluginError, DataError.
  Assembly assemble(const CommandEnvironment& environment, const std::set<std::string>& splits,
                    std::map<std::string, std::string> checkpoint_files = {}) const;

 private:
  ChosenDevice device_;
  OpenRegistry kinds_;
  ExperimentArguments arguments_;
  ResolvedExperiment resolved_;
};

}  // namespace triga
