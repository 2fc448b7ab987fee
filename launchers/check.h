// What `triga check` does, for the command and for tests.
#pragma once

#include <optional>
#include <string>

#include "launchers/environment.h"
#include "launchers/loaded_experiment.h"

namespace triga {

/// A line that says what `loaded` (to look) is. `num_ranks`: also whether so many ranks make its grid.
/// `begins`: the weights of model.init are needed. Throws: ConfigError, PluginError, DataError,
/// CheckpointError for what is wrong.
std::string check_experiment(const CommandEnvironment& environment, const LoadedExperiment& loaded,
                             std::optional<int> num_ranks, bool begins = true);

}  // namespace triga
