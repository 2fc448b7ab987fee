// Where a run cuts its model: listed in the experiment, even, recorded by an earlier start, or
// measured now.
#pragma once

#include <optional>
#include <vector>

#include "comm/process_grid.h"
#include "config/experiment.h"
#include "trainer/assembly.h"

namespace triga {

struct PipelineSetup {
  std::vector<size_t> bounds;  // the first layer of each stage, then the number of layers
  /// To be recorded: the cut was chosen by a measurement, of this start or of an earlier one.
  std::optional<std::vector<int64_t>> chosen_cuts;
  bool is_measured = false;  // by this start
  /// Of the rank that needs most, where that is more than it has: nothing fits.
  std::optional<int64_t> needed_bytes;
};

/// `recorded`: by an earlier start; used again while it makes as many stages of as many layers. The
/// same on all ranks. Collective over the grid. Throws: ConfigError for a pipeline that the model
/// does not make.
PipelineSetup set_up_pipeline(const Experiment& experiment, const Assembly& assembly,
                              const ProcessGrid& grid,
                              const std::optional<std::vector<int64_t>>& recorded);

}  // namespace triga
