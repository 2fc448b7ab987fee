#include "trainer/run_sinks.h"

#include "metrics/console.h"
#include "metrics/gradient_log.h"
#include "metrics/json_lines.h"
#include "metrics/prometheus.h"
#include "metrics/tensorboard.h"
#include "triga/error.h"
#include "triga/log.h"

namespace triga {
namespace {

std::unique_ptr<MetricSink> console_sink(const SinkInputs& inputs, const TrainingState& state) {
  ConsoleOptions options;
  options.first_step = state.step;
  options.total_steps = inputs.max_steps;
  if (inputs.experiment.train.max_minutes)
    options.total_seconds = *inputs.experiment.train.max_minutes * 60 - state.train_seconds;
  return std::make_unique<ConsoleSink>(*inputs.terminal, options);
}

/// Null when there is none: no reason to end a run.
std::unique_ptr<MetricSink> prometheus_sink(const SinkInputs& inputs, int64_t port) {
  try {
    auto sink = std::make_unique<PrometheusSink>(static_cast<int>(port), inputs.experiment.name);
    log_info("metrics", "served at http://", inputs.host, ":", sink->port(), "/metrics");
    return sink;
  } catch (const Error& error) {
    log_warning("metrics", "log.prometheus_port: ", error.what(), "; the run goes on without");
    return nullptr;
  }
}

}  // namespace

std::vector<std::unique_ptr<MetricSink>> open_sinks(const SinkInputs& inputs,
                                                    const TrainingState& state) {
  const RunDirectory& directory = inputs.directory;
  const LogConfig& log = inputs.experiment.log;
  std::vector<std::unique_ptr<MetricSink>> sinks;
  if (inputs.terminal != nullptr) sinks.push_back(console_sink(inputs, state));
  sinks.push_back(std::make_unique<JsonLinesSink>(inputs.files, directory.metrics(), state.step,
                                                  state.evaluated_step));
  sinks.push_back(std::make_unique<TensorBoardSink>(directory.tensorboard().string(), state.step));
  if (log.gradient_norms_every_steps > 0)
    sinks.push_back(std::make_unique<GradientLog>(
        inputs.files, GradientFiles{directory.gradients(), directory.gradients_plot()},
        inputs.experiment.name, state.step));
  if (log.prometheus_port)
    if (auto sink = prometheus_sink(inputs, *log.prometheus_port)) sinks.push_back(std::move(sink));
  return sinks;
}

}  // namespace triga
