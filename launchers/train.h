// triga train, also called by launch for a single rank.
#pragma once

#include "launchers/environment.h"
#include "launchers/experiment_arguments.h"
#include "triga/error.h"

namespace triga {

ExitStatus train(const CommandEnvironment& environment, const ExperimentArguments& arguments);

}  // namespace triga
