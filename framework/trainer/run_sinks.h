// Where the numbers of a run go, as its experiment asks: opened by rank 0 at every start.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/terminal.h"
#include "checkpoint/snapshot.h"
#include "config/experiment.h"
#include "metrics/metric_sink.h"
#include "trainer/run_directory.h"

namespace triga {

struct SinkInputs {
  const Experiment& experiment;
  FileSystem& files;
  const RunDirectory& directory;
  Terminal* terminal;                // null: none
  std::optional<int64_t> max_steps;  // where the run ends, if it is known
  std::string host;                  // this one
};

/// What was written after `state` is dropped. Throws: Error when a file cannot be opened; a port
/// that cannot be had is a warning.
std::vector<std::unique_ptr<MetricSink>> open_sinks(const SinkInputs& inputs,
                                                    const TrainingState& state);

}  // namespace triga
