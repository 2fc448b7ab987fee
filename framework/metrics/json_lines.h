// JsonLinesSink: metrics.jsonl, one JSON object a record: {"step": 10, "loss": 2.3, ...}, and of an
// evaluation {"step": 250, "split": "validation", "loss": 2.2}. A number that is not finite is null.
#pragma once

#include <optional>

#include "base/files.h"
#include "metrics/append_file.h"
#include "metrics/metric_sink.h"

namespace triga {

class JsonLinesSink final : public MetricSink {
 public:
  /// Goes on with the file that is there, as a run that continues after `last_step` steps: lines of
  /// later steps, of evaluations after that of `last_evaluation` (they are made again), and a last
  /// line that a crash cut, are dropped, so that the curve has no zigzag. Throws: Error.
  JsonLinesSink(FileSystem& files, const Path& path, int64_t last_step, int64_t last_evaluation);

  void record(const MetricRecord& record) override;

 private:
  AppendFile file_;
};

}  // namespace triga
