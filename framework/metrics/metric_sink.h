// MetricSink: where the numbers of a run go. trainer -> records -> sinks (console, metrics.jsonl,
// TensorBoard). Rank 0 has sinks, the others none.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace triga {

struct MetricRecord {
  int64_t step = 0;   // number of optimizer steps done
  std::string split;  // "": of training steps; else of an evaluation of this split
  std::vector<std::pair<std::string, double>>
      values;  // "loss", "grad_norm", ... in the order to show
};

/// What the model generated during training.
struct SampleRecord {
  int64_t step = 0;
  std::string text;                                        // "": none
  std::vector<std::pair<std::string, std::string>> files;  // name and content
};

/// One thread at a time. Does not throw after it was opened: metrics that cannot be written are no
/// reason to end a run, so a sink says it in the log once and goes on.
class MetricSink {
 public:
  virtual ~MetricSink() = default;

  virtual void record(const MetricRecord& record) = 0;

  virtual void record_samples(const SampleRecord& /*samples*/) {}

  /// After every step, also those of which nothing is recorded. Must be cheap.
  virtual void step_done(int64_t /*step*/) {}
};

}  // namespace triga
