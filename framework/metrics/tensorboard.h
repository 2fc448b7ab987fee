// TensorBoardSink: an event file that TensorBoard reads, with tags train/loss, validation/loss, ...,
// and what the model generated: its text as samples/text, a file image-00000.png as
// samples/image-00000.
// A run that goes on writes a file of its own, which begins by telling TensorBoard to forget what
// earlier files hold of later steps.
//
// A file is records of (little endian): length u64, masked CRC-32C of the length u32, an Event
// message, masked CRC-32C of it u32. Event: wall_time = 1 (double), step = 2, file_version = 3,
// summary = 5, session_log = 7 (tensorflow's event.proto).
#pragma once

#include <functional>
#include <string>

#include "metrics/append_file.h"
#include "metrics/metric_sink.h"

namespace triga {

/// Seconds since 1970.
double wall_clock();

class TensorBoardSink final : public MetricSink {
 public:
  /// Makes a file in `folder`, of a run that goes on after `last_step` steps.
  /// Throws: Error.
  TensorBoardSink(const std::string& folder, int64_t last_step,
                  std::function<double()> clock = wall_clock);

  void record(const MetricRecord& record) override;
  void record_samples(const SampleRecord& samples) override;

  /// Where this sink writes.
  const std::string& path() const { return path_; }

 private:
  void append_event(const std::string& event);

  const std::function<double()> clock_;
  const std::string path_;
  AppendFile file_;
};

}  // namespace triga
