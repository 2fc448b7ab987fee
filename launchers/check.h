// What `triga check` does, for the command and for tests.
#pragma once

#include <optional>
#include <string>

#include "launchers/environment.h"
#include "launchers/experiment_arguments.h"

namespace triga {

/// A line that says what the experiment is. `num_ranks`: also whether so many ranks make its grid.
/// Throws: ConfigError, PluginError, DataError, CheckpointError for what is wrong.
std::string check_experiment(const CommandEnvironment& environment,
                             const ExperimentArguments& arguments, std::optional<int> num_ranks);

}  // namespace triga
