// Checks of the model that need no memory for it: what `triga check` and every rank's start do
// before parameters exist.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "config/experiment.h"
#include "trainer/assembly.h"

namespace triga {

/// Where `parallel` cuts a model of so many layers into stages: the first layer of each, then their
/// number; evenly where that is left to a measurement. Throws: ConfigError with the place of the key.
std::vector<size_t> stage_bounds(const ParallelConfig& parallel, size_t num_layers);

/// The layers fit together and make the stages that `parallel` asks for, each pattern of
/// optimizer.groups matches a parameter of the whole model, the metrics have names of their own and
/// checkpoint.keep_best names one of them, data and layout suit a model that carries its state,
/// log.samples has inputs that the model's sampler takes, and where the run `begins` the directory of
/// model.init has what the model needs (names, shapes and types; no tensor is read). Returns the
/// number of parameters, tied ones once. Throws: PluginError, ConfigError, CheckpointError.
int64_t check_model(const Experiment& experiment, const Assembly& assembly, FileSystem& files,
                    bool begins = true);

}  // namespace triga
