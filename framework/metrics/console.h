// ConsoleSink: how training goes, for a person. On a terminal one bar is redrawn:
//   120/2000 ━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━━━━  loss 2.3456  12,345 tokens/s  1:45 left
// elsewhere (a file, a job's output) each record is a plain line. Evaluations are lines in both.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/terminal.h"
#include "metrics/metric_sink.h"

namespace triga {

/// Seconds of a clock that never goes back.
double steady_clock_seconds();

struct ConsoleOptions {
  int64_t first_step = 0;               // steps done before this start
  std::optional<int64_t> total_steps;   // where training ends, if it is known
  std::optional<double> total_seconds;  // of this start, if it has such a limit
  std::function<double()> clock = steady_clock_seconds;
};

class ConsoleSink final : public MetricSink {
 public:
  /// `terminal` must outlive the sink.
  ConsoleSink(Terminal& terminal, const ConsoleOptions& options);
  /// Leaves the bar as a line.
  ~ConsoleSink() override;

  void record(const MetricRecord& record) override;
  void step_done(int64_t step) override;

 private:
  std::string progress() const;  // "120/2000"
  std::string numbers() const;   // "loss 2.3456  12,345 tokens/s  1:45 left"
  std::optional<double> seconds_left() const;
  void draw();

  Terminal& terminal_;
  const ConsoleOptions options_;
  const double start_;
  int64_t step_;
  double drawn_at_;
  MetricRecord last_;  // of training
};

/// "0:07", "12:05", "3:04:05", "2 days 3 h".
std::string format_duration(double seconds);

}  // namespace triga
