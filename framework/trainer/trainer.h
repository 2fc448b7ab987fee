// Trainer: the loop, and the only place where the order of a step is written. Everything it does is
// collective: each rank runs the same trainer, and all decide the same because they decide on the
// same numbers. Rank 0 writes what users see.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/trace.h"
#include "checkpoint/writer.h"
#include "comm/process_grid.h"
#include "config/experiment.h"
#include "data/loader.h"
#include "metrics/metric_sink.h"
#include "parallel/strategy.h"
#include "trainer/assembly.h"
#include "trainer/lease.h"
#include "trainer/run_directory.h"
#include "trainer/training_samples.h"

namespace triga {

/// What a trainer works with; all must outlive it.
struct TrainerInputs {
  const Experiment& experiment;
  const Assembly& assembly;
  const ProcessGrid& grid;
  FileSystem& files;
  RunDirectory directory;
  const ConfigNode& resolved;
  std::optional<int64_t> decay_steps;       // of the run's first start; empty: this is the first
  Environment environment;                  // for the manifests of checkpoints
  const Lease* lease = nullptr;             // of rank 0; null elsewhere
  const std::atomic<bool>& stop_requested;  // set by a signal
  Trace& trace;                             // that the strategy and the communicators write to
  int64_t profile_steps = 0;                // 0: nothing is recorded
  std::map<std::string, std::string> data;  // fingerprints by split, for checkpoints
};

enum class Outcome { kDone, kStoppedEarly, kStopped };

class Trainer {
 public:
  /// `strategy`: with its values; `state`: where the run goes on (all zero for a new one).
  Trainer(const TrainerInputs& inputs, Strategy& strategy, const TrainingState& state);

  /// Trains until a limit, a verdict or a signal; then the newest checkpoint holds the last step.
  /// Throws: DivergedError; CheckpointError when the last state could not be saved; what data and
  /// communication throw.
  Outcome run();

  const TrainingState& state() const { return state_; }
  /// The step at which the run ends, if it is known.
  std::optional<int64_t> max_steps() const { return max_steps_; }
  /// The text of resolved.yaml.
  const std::string& resolved() const { return resolved_; }
  /// `sink` must outlive run(). For rank 0.
  void add_sink(MetricSink& sink) { sinks_.push_back(&sink); }

 private:
  struct StepReport {
    StepLoss loss;
    double grad_norm = 0;
    double learning_rate = 0;
    double seconds = 0;
    bool is_skipped = false;
    std::string why_skipped;
    GradientNorms gradient_norms;  // of steps that are watched
  };

  StepReport train_step();
  std::vector<Batch> next_microbatches();
  bool is_limit_reached() const;
  void judge_skipped(const StepReport& report);
  void log_step(const StepReport& report);
  bool is_watched(int64_t step) const;
  void log_gradients(const StepReport& report);
  void evaluate();
  void make_samples(bool is_last);
  bool save(bool is_last);
  bool agree_to_stop();
  void profile();
  void end_profile();
  bool is_due(int64_t every) const { return every > 0 && state_.step % every == 0; }
  Snapshot snapshot();

  const TrainerInputs inputs_;
  Strategy& strategy_;
  TrainingState state_;
  BatchPlan plan_;
  std::optional<int64_t> max_steps_;  // from max_steps or max_epochs
  TrainLoader loader_;
  std::string resolved_;
  std::vector<MetricSink*> sinks_;
  std::unique_ptr<LearningRateSchedule> schedule_;
  std::unique_ptr<CheckpointWriter> writer_;
  std::optional<TrainingSamples> samples_;
  std::map<std::string, double> last_metrics_;  // of the last evaluation of this start
  int64_t saved_step_ = -1, sampled_step_ = -1;
  int64_t num_steps_ = 0;  // of this start
  bool stop_agreed_ = false, out_of_patience_ = false;
  std::chrono::steady_clock::time_point started_;
  double seconds_before_ = 0;
};

}  // namespace triga
