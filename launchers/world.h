// The world of `triga train`: MPI is opened, the ranks are checked against each other, and the
// device's communicator is put over it. What ranks find out of each other ends all of them here,
// with one message.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "launchers/environment.h"
#include "launchers/loaded_experiment.h"

namespace triga {

struct CheckedWorld {
  std::unique_ptr<Communicator> world;
  std::vector<std::string> notes;  // of rank 0, for the log
};

/// `leave`: prints an error and ends the process; it does not return. Collective over all that the
/// launcher started.
CheckedWorld open_world(
    const CommandEnvironment& environment, const LoadedExperiment& loaded,
    const std::function<void(const Error& error, const Communicator& world)>& leave);

}  // namespace triga
