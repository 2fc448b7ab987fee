// GradientLog: what a run keeps of gradients inside of layers (log.gradient_norms_every_steps):
// gradients.csv, a line `step,name,place,norm` for each place of a sequence, and gradients.svg, the
// same as curves.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "metrics/append_file.h"
#include "metrics/gradient_plot.h"
#include "metrics/metric_sink.h"

namespace triga {

struct GradientFiles {
  Path table, plot;
};

/// The curves that a table holds, a panel a name. `where`: the file, for messages. Throws: DataError.
std::vector<GradientPanel> gradient_panels(const std::string& table, const std::string& where);

class GradientLog final : public MetricSink {
 public:
  /// Goes on with the table that is there, as a run that continues after `last_step` steps: lines of
  /// later steps, and a last one that a crash cut, are dropped. Throws: Error.
  GradientLog(FileSystem& files, GradientFiles paths, std::string title, int64_t last_step);

  void record(const MetricRecord& /*record*/) override {}
  void record_gradients(int64_t step, const GradientNorms& norms) override;

 private:
  FileSystem& files_;
  const GradientFiles paths_;
  const std::string title_;
  std::string kept_;                   // of a table that was there
  std::vector<GradientPanel> panels_;  // all curves so far
  AppendFile file_;
  bool has_failed_ = false;
};

}  // namespace triga
