// TrainingSamples: what the model's sampler makes while the model learns, for people to look at:
//
//   trainer -> sampler, through the Predictor -> samples/step-00000500/ of the run, metric sinks
//
// The seed is among the sampler's inputs, so every step starts from the same noise and what differs
// from step to step is the model. Nothing of it goes back into the run.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "base/files.h"
#include "base/plugin_call.h"
#include "comm/process_grid.h"
#include "config/experiment.h"
#include "metrics/metric_sink.h"
#include "trainer/assembly.h"
#include "trainer/run_directory.h"

namespace triga {

class TrainingSamples {
 public:
  /// All must outlive it. Requires: experiment.log.samples, which check_model found right.
  TrainingSamples(const Experiment& experiment, const Assembly& assembly, const ProcessGrid& grid,
                  FileSystem& files, const RunDirectory& directory);

  /// Whether they are to be made after this step, the last one or not.
  bool are_due(int64_t step, bool is_last) const;
  /// Whether the run's folder has those of this step. Collective.
  bool are_made(int64_t step) const;

  /// Generates, on every rank. Nothing: a rank was told to stop, or the sampler refused the inputs
  /// or its data, which is said in the log. `is_stopped`: set on every rank in the first case.
  /// Collective.
  std::optional<SampleRecord> generate(Predictor& predictor, int64_t step,
                                       const std::atomic<bool>& stop_requested, bool& is_stopped);

  /// Into the run's folder, as a whole. A failure is said in the log. For rank 0.
  void write(const SampleRecord& samples);

 private:
  Path folder_of(int64_t step) const;

  const SamplesConfig& config_;
  const Tokenizer* const tokenizer_;
  const ProcessGrid& grid_;
  FileSystem& files_;
  const Path folder_;
  const std::unique_ptr<Sampler> sampler_;
  const PluginCode sampler_code_;
  const std::map<std::string, std::string> model_files_;  // as a checkpoint has them
};

/// The inputs of log.samples with every default filled in and paths absolute, for resolved.yaml.
/// Requires: log.samples, right for the architecture.
ConfigNode resolved_sample_inputs(const Experiment& experiment, const Architecture& architecture);

}  // namespace triga
