// MetricSink: where the numbers of a run go. trainer -> records -> sinks (console, metrics.jsonl,
// TensorBoard). Rank 0 has sinks, the others none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace triga {

struct MetricRecord {
  int64_t step = 0;   // number of optimizer steps done
  std::string split;  // "": of training steps; "gradients"; else of an evaluation of this split
  std::vector<std::pair<std::string, double>>
      values;  // "loss", "grad_norm", ... in the order to show
};

/// Of gradients inside of layers, at each place of a sequence, by "layer.name".
using GradientNorms = std::map<std::string, std::vector<double>>;

/// What the model generated during training.
struct SampleRecord {
  int64_t step = 0;
  std::string text;                                        // "": none
  std::vector<std::pair<std::string, std::string>> files;  // name and content
};

/// How safe the run is.
struct SaveRecord {
  int64_t last_saved_step = 0;  // of the newest checkpoint that is known to be there; 0: none
  int64_t num_failed = 0;       // saves, since the run started or went back to a checkpoint
};

/// One thread at a time. Does not throw after it was opened: metrics that cannot be written are no
/// reason to end a run, so a sink says it in the log once and goes on.
class MetricSink {
 public:
  virtual ~MetricSink() = default;

  virtual void record(const MetricRecord& record) = 0;

  /// In the steps of log.gradient_norms_every_steps; what stands for it in the curves is a record of
  /// the split "gradients".
  virtual void record_gradients(int64_t /*step*/, const GradientNorms& /*norms*/) {}
  virtual void record_samples(const SampleRecord& /*samples*/) {}
  /// After every step. Must be cheap.
  virtual void record_saves(const SaveRecord& /*saves*/) {}

  /// After every step, also those of which nothing is recorded. Must be cheap.
  virtual void step_done(int64_t /*step*/) {}
};

}  // namespace triga
