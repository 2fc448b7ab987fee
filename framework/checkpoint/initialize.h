// Starting from a model directory that another library (or an earlier run) wrote: `init: {from,
// strict, reinitialize}`. A plan is made from headers alone, so that `triga check` can test it
// without reading a tensor.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/tensor_files.h"
#include "triga/architecture.h"

namespace triga {

struct InitOptions {
  bool strict = true;  // missing and unexpected tensors are errors
  /// Says for a parameter's name whether it keeps its drawn values; may be empty.
  std::function<bool(const std::string&)> reinitialize;
};

struct InitPlan {
  std::map<std::string, std::string> stored;  // parameter -> name in the files; those that are read
  std::vector<std::string>
      missing;  // parameters that the files lack and that keep their drawn values
  std::vector<std::string> unexpected;  // stored names that the model does not know
  std::vector<std::string>
      reinitialized;  // parameters that keep their drawn values because they were asked to
};

/// `parameters`: all of the component, whichever rank owns them. Throws: CheckpointError that lists
/// every tensor with a wrong shape or dtype, and, if strict, every missing and unexpected one.
InitPlan plan_initialization(const TensorFiles& files, const Architecture& architecture,
                             const std::vector<ParameterSpec>& parameters,
                             const InitOptions& options);

/// The files of a model directory that check_compatible wants: the small text files at its top
/// (`*.json`, `*.txt`, `*.md`), and those of its components (`unet/config.json`).
std::map<std::string, std::string> read_model_files(FileSystem& files, const Path& directory);

}  // namespace triga
