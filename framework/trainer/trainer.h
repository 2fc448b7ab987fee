// Trainer: the loop, and the only place where the order of a step is written. Everything it does is
// collective: each rank runs the same trainer, and all decide the same because they decide on the
// same numbers. Rank 0 writes what users see.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/plugin_call.h"
#include "data/loader.h"
#include "metrics/metric_sink.h"
#include "parallel/strategy.h"
#include "trainer/run_saves.h"
#include "trainer/trainer_inputs.h"
#include "trainer/training_samples.h"

namespace triga {

/// kSpikes: too many in a row; to go on, the run must go back to a checkpoint from before them.
enum class Outcome { kDone, kStoppedEarly, kStopped, kSpikes };

/// The last evaluation was one too many without an improvement (eval.patience).
bool is_out_of_patience(const Experiment& experiment, const TrainingState& state);

class Trainer {
 public:
  /// `strategy`: with its values; `state`: where the run goes on (all zero for a new one).
  Trainer(const TrainerInputs& inputs, Strategy& strategy, const TrainingState& state);

  /// Trains until a limit, a verdict or a signal; then the newest checkpoint holds the last step,
  /// unless there are too many spikes. Throws: DivergedError; CheckpointError when the last state
  /// could not be saved; what data and communication throw.
  Outcome run();

  /// Before run(): the state of another run's checkpoint, in this run's. `metrics`: of its
  /// evaluation. Collective. Throws: CheckpointError.
  void save_first(const std::map<std::string, double>& metrics);

  const TrainingState& state() const { return state_; }
  /// The step at which the run ends, if it is known.
  std::optional<int64_t> max_steps() const { return max_steps_; }
  /// The text of resolved.yaml.
  const std::string& resolved() const { return resolved_; }
  /// The step after which the schedule is 0 for the rest of the run, which then changes nothing;
  /// nullopt: the last step still learns, or its number is not known.
  std::optional<int64_t> last_step_that_learns() const;
  /// `sink` must outlive run(). For rank 0.
  void add_sink(MetricSink& sink) { sinks_.push_back(&sink); }

 private:
  struct StepReport {
    StepLoss loss;
    double grad_norm = 0;
    double learning_rate = 0;
    double seconds = 0;
    bool is_skipped = false, is_spike = false;
    bool has_verdict = true;  // on whether it is a spike
    std::string why_skipped;
    GradientNorms gradient_norms;  // of steps that are watched
  };

  StepReport train_step();
  std::vector<Batch> next_microbatches();
  bool is_limit_reached() const;
  /// Of the data; steps that were left out count there.
  StepPlan plan_of(int64_t step) const { return plan_.step(step + state_.left_out_steps); }
  void judge_step(const StepPlan& plan, StepReport& report);
  void judge_skipped(const StepReport& report);
  void count_spike(const StepReport& report);
  void log_step(const StepReport& report);
  bool is_watched(int64_t step) const;
  void log_gradients(const StepReport& report);
  void evaluate();
  void make_samples(bool is_last);
  void save(bool is_last);
  void take_settled();
  bool agree_to_stop();
  void profile();
  void end_profile();
  bool is_due(int64_t every) const { return every > 0 && state_.step % every == 0; }

  const TrainerInputs inputs_;
  Strategy& strategy_;
  TrainingState state_;
  BatchPlan plan_;
  int64_t usual_size_;                // of a step, in samples or tokens as global_batch says
  std::optional<int64_t> max_steps_;  // from max_steps or max_epochs
  TrainLoader loader_;
  std::string resolved_;
  std::vector<MetricSink*> sinks_;
  std::unique_ptr<LearningRateSchedule> schedule_;
  PluginCode schedule_code_;
  std::unique_ptr<RunSaves> saves_;
  std::optional<TrainingSamples> samples_;
  std::map<std::string, double> last_metrics_;  // of the last evaluation of this start
  int64_t sampled_step_ = -1;
  int64_t num_steps_ = 0;  // of this start
  bool stop_agreed_ = false, out_of_patience_ = false;
  bool has_many_spikes_ = false, is_save_due_ = false;
  int64_t settles_at_ = -1;  // the first step whose checkpoint settles the rollbacks so far
  std::chrono::steady_clock::time_point started_;
  double seconds_before_ = 0;
};

}  // namespace triga
