#include "trainer/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/memory_meter.h"
#include "config/resolve.h"
#include "trainer/file_deadline.h"
#include "trainer/profile.h"
#include "trainer/spikes.h"
#include "trainer/step_batches.h"
#include "triga/log.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

/// No learning rate has done anything yet.
constexpr const char* kNeverGood =
    "It was so from the first step on, which no learning rate can cause. Look for values in the "
    "data "
    "that are no numbers, for weights of model.init that are none, and in a plugin for memory that "
    "nothing fills (at::empty), a logarithm or a division of zero: `triga plugin check FILE.so "
    "--experiment EXPERIMENT` says which parameters and gradients are not finite";

constexpr int64_t kWarmup = 3;  // steps of a start that a profile leaves out

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LoaderOptions loader_options(const TrainerInputs& inputs, const Dataset& dataset,
                             const std::string& split) {
  LoaderOptions options =
      loader_options_of(inputs.experiment, *inputs.assembly.architecture, dataset, split);
  options.rank = inputs.grid.dp_rank();
  options.num_ranks = inputs.grid.dp();
  options.pin_memory = !inputs.grid.data().device().is_cpu();
  return options;
}

/// Of a rank's microbatches, those with samples.
int64_t num_trained(const std::vector<Batch>& microbatches) {
  return std::count_if(microbatches.begin(), microbatches.end(),
                       [](const Batch& batch) { return batch.num_samples > 0; });
}

/// In what train.global_batch counts.
int64_t size_of(const StepPlan& plan, const GlobalBatchConfig& batch) {
  return batch.tokens ? plan.num_tokens : plan.num_samples;
}

/// Less than train.global_batch where there are not as many data.
int64_t usual_size(const BatchPlan& plan, const GlobalBatchConfig& batch) {
  return std::min(batch.tokens ? *batch.tokens : batch.samples.value(),
                  size_of(plan.step(0), batch));
}

std::optional<int64_t> step_limit(const Experiment& experiment, const BatchPlan& plan,
                                  int64_t left_out_steps) {
  if (experiment.train.max_steps) return experiment.train.max_steps;
  if (experiment.train.max_epochs)
    return plan.steps_in_epochs(*experiment.train.max_epochs) - left_out_steps;
  return std::nullopt;
}

}  // namespace

bool is_out_of_patience(const Experiment& experiment, const TrainingState& state) {
  const int64_t patience = experiment.eval.patience;
  return patience > 0 && state.evaluated_step == state.step &&
         state.evaluations_without_improvement >= patience;
}

Trainer::Trainer(const TrainerInputs& inputs, Strategy& strategy, const TrainingState& state)
    : inputs_(inputs),
      strategy_(strategy),
      state_(state),
      plan_(*inputs.assembly.train,
            plan_options_of(inputs.experiment, *inputs.assembly.architecture)),
      usual_size_(usual_size(plan_, inputs.experiment.train.global_batch)),
      max_steps_(step_limit(inputs.experiment, plan_, state.left_out_steps)),
      loader_(loader_options(inputs, *inputs.assembly.train, "train"), plan_,
              state.step + state.left_out_steps,
              max_steps_ ? std::optional(*max_steps_ + state.left_out_steps) : std::nullopt),
      seconds_before_(state.train_seconds) {
  // The decay is that of the first start: it stays when the limit grows.
  const int64_t usual =
      max_steps_
          ? default_decay_steps(inputs.resolved, step_limit(inputs.experiment, plan_, 0).value())
          : 0;
  const int64_t decay_steps = inputs.decay_steps.value_or(usual);
  schedule_ = inputs.assembly.make_schedule(decay_steps);
  schedule_code_ = code_of("learning-rate schedule", *schedule_);
  ConfigNode resolved = inputs.resolved;
  if (decay_steps > 0) set_default_decay_steps(resolved, decay_steps);
  resolved_ = write_resolved(resolved);
  saves_ = std::make_unique<RunSaves>(inputs_, strategy_, resolved_, state.step);
  if (inputs.gone_back_to) {
    last_metrics_ = *inputs.gone_back_to;
    state_.good_steps = 0;
  }
  if (inputs.experiment.log.samples)
    samples_.emplace(inputs.experiment, inputs.assembly, inputs.grid, inputs.files,
                     inputs.directory);
  state_.data = inputs.data;
  out_of_patience_ = is_out_of_patience(inputs.experiment, state_);
}

std::optional<int64_t> Trainer::last_step_that_learns() const {
  const int64_t end = max_steps_.value_or(0);
  int64_t step = end;
  PluginCall("factor", schedule_code_).run([&] {
    while (step > state_.step && schedule_->factor(step - 1) == 0) --step;
  });
  return step < end ? std::optional(step) : std::nullopt;
}

Outcome Trainer::run() {
  const Experiment& experiment = inputs_.experiment;
  started_ = Clock::now();
  if (out_of_patience_ && inputs_.grid.rank() == 0)
    log_info("train", "it stopped early at step ", state_.step,
             " (eval.patience), and trains no further. To go on from its state: --run-dir "
             "ANOTHER_DIR --resume ",
             (inputs_.directory.checkpoints() / "latest").string());
  if (inputs_.gone_back_to) save(/*is_last=*/false);  // what it leaves out is known from now on
  if (state_.step > 0 && is_due(experiment.eval.every_steps) &&
      state_.evaluated_step != state_.step) {  // it was stopped before this evaluation
    evaluate();
    if (!stop_agreed_) save(/*is_last=*/false);  // now with what the evaluation found
  }
  if (state_.step > 0) make_samples(/*is_last=*/false);  // likewise
  bool is_over = is_limit_reached() || stop_agreed_ || out_of_patience_;
  while (!is_over) {
    profile();
    StepReport report;
    {
      const TraceSpan step(&inputs_.trace, TraceKind::kStep, "step");
      report = train_step();
      const TraceSpan span(&inputs_.trace, TraceKind::kMetrics, "metrics");
      if (is_due(experiment.log.every_steps) || report.is_skipped) log_step(report);
      log_gradients(report);
      for (MetricSink* sink : sinks_) {
        sink->step_done(state_.step);
        sink->record_saves(saves_->record());
      }
    }
    if (++num_steps_ == 1) {
      const MemoryUse use = MemoryMeter::use(inputs_.grid.data().device());
      log_info("train", fmt::format("memory after the first step: {:.1f} MB, {:.1f} MB at its peak",
                                    static_cast<double>(use.now_bytes) * 1e-6,
                                    static_cast<double>(use.peak_bytes) * 1e-6));
    }
    judge_skipped(report);
    if (has_many_spikes_) break;
    const bool is_limit = is_limit_reached();
    // The last step is evaluated before it is saved, so that its checkpoint can be the best.
    if ((is_due(experiment.eval.every_steps) || is_limit) && !stop_agreed_) evaluate();
    is_over = is_limit || out_of_patience_;
    make_samples(/*is_last=*/is_over);
    is_over = is_over || stop_agreed_;
    // In a series of spikes the way back must stay; a checkpoint that is due comes after it.
    is_save_due_ = is_save_due_ || saves_->is_due(state_.step);
    if (is_over || (is_save_due_ && state_.spikes_in_a_row == 0)) {
      save(is_over);
      is_save_due_ = false;
    }
  }
  end_profile();
  saves_->finish();
  if (has_many_spikes_) return Outcome::kSpikes;
  bool is_saved = saves_->saved_step() == state_.step;
  if (!stop_agreed_ && state_.evaluated_step != state_.step) {  // nothing was left to train
    evaluate();
    is_saved = false;
  }
  make_samples(/*is_last=*/true);
  if (!is_saved) save(/*is_last=*/true);
  if (stop_agreed_) return Outcome::kStopped;
  return out_of_patience_ ? Outcome::kStoppedEarly : Outcome::kDone;
}

/// The first steps of a start are not those that it is about: memory is touched for the first time.
void Trainer::profile() {
  if (inputs_.profile_steps == 0) return;
  if (num_steps_ == kWarmup) inputs_.trace.record(true);
  if (inputs_.trace.is_recording() && num_steps_ >= kWarmup + inputs_.profile_steps) end_profile();
}

/// Of so many steps as there were. A trace that cannot be written does not end a run.
void Trainer::end_profile() {
  if (inputs_.profile_steps == 0) return;
  const bool is_first = inputs_.grid.rank() == 0;
  if (!inputs_.trace.is_recording()) {
    if (num_steps_ <= kWarmup && is_first)
      log_warning("profile", "no trace: the run ended after ", num_steps_, " steps, and the first ",
                  kWarmup, " are not recorded");
    return;
  }
  inputs_.trace.record(false);
  try {
    const std::string summary = write_profile(inputs_.files, inputs_.directory.root / "trace.json",
                                              inputs_.grid.world(), inputs_.trace.take());
    if (is_first) log_info("profile", summary);
  } catch (const FileError& error) {
    log_warning("profile", error.what());
  }
}

std::vector<Batch> Trainer::next_microbatches() {
  const TraceSpan span(&inputs_.trace, TraceKind::kData, "data");
  return loader_.next();
}

/// One update. The order of a training step is these few lines, whatever the layout.
Trainer::StepReport Trainer::train_step() {
  const auto start = Clock::now();
  StepReport report;
  inputs_.grid.world().set_step(state_.step);
  const StepPlan plan = plan_of(state_.step);
  if (plan.first_position == plan.epoch * inputs_.assembly.train->size())
    strategy_.forget_sequences();  // an epoch begins
  const bool watches_gradients = is_watched(state_.step + 1);
  if (watches_gradients) strategy_.watch_gradients();
  inputs_.clock.enter(Phase::kData);
  const std::vector<Batch> microbatches = next_microbatches();  // 1 data: my share of the step
  inputs_.clock.enter(Phase::kForward);
  std::array<double, 1 + RunSaves::kNumVotes> votes = {inputs_.stop_requested ? 1.0 : 0.0};
  saves_->cast_votes(std::span(votes).subspan<1>());
  report.loss = strategy_.forward_backward(microbatches, state_.step,
                                           votes);  // 2 gradients of the global mean
  inputs_.clock.enter(Phase::kUpdate);
  if (watches_gradients) report.gradient_norms = strategy_.take_gradient_norms();
  report.grad_norm =
      strategy_.clip_gradients(inputs_.experiment.train.clip_norm);  //   norm over the whole model
  report.learning_rate =
      inputs_.experiment.optimizer.learning_rate *
      PluginCall("factor", schedule_code_).run([&] { return schedule_->factor(state_.step); });
  judge_step(plan, report);
  if (report.is_skipped)
    strategy_.skip();
  else
    strategy_.update(report.learning_rate);  // 3 optimizer
  inputs_.clock.end_step(num_trained(microbatches));
  stop_agreed_ = votes[0] > 0;
  saves_->take_votes(std::span(std::as_const(votes)).subspan<1>());
  ++state_.step;
  state_.epoch = plan.epoch;
  state_.samples = plan.first_position + plan.num_samples;
  state_.position = state_.samples - plan.epoch * inputs_.assembly.train->size();
  if (inputs_.assembly.architecture->sequence_length() > 0) state_.tokens += plan.num_tokens;
  state_.train_seconds = seconds_before_ + seconds_since(started_);
  report.seconds = seconds_since(start);
  if (num_steps_ > 0) saves_->step_took(report.seconds);  // the first one sets much up
  return report;
}

/// From the same numbers on every rank, so the same verdict.
void Trainer::judge_step(const StepPlan& plan, StepReport& report) {
  const double loss = report.loss.mean();
  const auto& spikes = inputs_.experiment.train.spikes;
  if (!std::isfinite(loss))
    report.why_skipped = "the loss is not finite";
  else if (!std::isfinite(report.grad_norm))
    report.why_skipped = "the gradient is not finite";
  else if (report.loss.count() == 0)
    report.why_skipped = "no sample of the step has anything to learn (count 0)";
  else if (spikes &&
           is_too_short(size_of(plan, inputs_.experiment.train.global_batch), usual_size_))
    report.has_verdict = false;
  else if (spikes) {
    report.why_skipped = spike_in_words(loss, *spikes, state_);
    report.is_spike = !report.why_skipped.empty();
    if (!report.is_spike) remember_loss(loss, *spikes, state_);
  }
  report.is_skipped = !report.why_skipped.empty();
}

bool Trainer::is_limit_reached() const {
  if (max_steps_) return state_.step >= *max_steps_;
  // Minutes: the clock of rank 0 decides, or ranks would part.
  const double limit = *inputs_.experiment.train.max_minutes * 60;
  double is_over = inputs_.grid.rank() == 0 && state_.train_seconds >= limit ? 1 : 0;
  inputs_.grid.world().all_reduce_values({&is_over, 1}, ReduceOp::kMax, "limit of minutes");
  return is_over > 0;
}

void Trainer::judge_skipped(const StepReport& report) {
  if (!report.is_skipped) {
    state_.skipped_in_a_row = 0;
    if (report.has_verdict) state_.spikes_in_a_row = 0;
    return;
  }
  ++state_.skipped_steps;
  ++state_.skipped_in_a_row;
  const int64_t limit = inputs_.experiment.train.max_skipped_steps;
  if (inputs_.grid.rank() == 0)
    log_warning("train", "step ", state_.step, " is skipped: ", report.why_skipped, " (",
                state_.skipped_in_a_row, " in a row, ", limit, " end the run)");
  if (report.is_spike) count_spike(report);
  if (has_many_spikes_ || state_.skipped_in_a_row < limit) return;
  saves_->finish();
  const bool was_ever_good = state_.skipped_steps < state_.step;
  throw DivergedError(fmt::format(
      "the run diverged: {} steps in a row were skipped up to step {}; the last time {}.\n  {}; "
      "the "
      "newest checkpoint is from step {}.",
      state_.skipped_in_a_row, state_.step, report.why_skipped,
      was_ever_good ? "Try a lower optimizer.learning_rate, a longer warm-up or a lower "
                      "train.clip_norm"
                    : kNeverGood,
      std::max<int64_t>(saves_->saved_step(), 0)));
}

void Trainer::count_spike(const StepReport& report) {
  if (state_.spikes_in_a_row++ == 0) state_.first_spike_step = state_.step;
  const SpikesConfig& spikes = *inputs_.experiment.train.spikes;
  if (state_.spikes_in_a_row < spikes.max_in_a_row) return;
  take_settled();
  if (may_go_back(spikes, state_)) {
    has_many_spikes_ = true;
    return;
  }
  throw DivergedError(fmt::format(
      "the run diverged: {} spikes of the loss in a row up to step {}, and it has gone back to a "
      "checkpoint {} times (train.spikes.max_rollbacks) without a checkpoint after {} good steps "
      "in between; the last time {}.\n  Try a lower optimizer.learning_rate, or look at the data "
      "that it stumbles over; the newest checkpoint is from step {}.",
      state_.spikes_in_a_row, state_.step, state_.rollbacks - state_.settled_rollbacks,
      spikes.window, report.why_skipped, std::max<int64_t>(saves_->saved_step(), 0)));
}

/// What an earlier save settled counts once its checkpoint is there.
void Trainer::take_settled() {
  saves_->finish();
  if (settles_at_ >= 0 && saves_->saved_step() >= settles_at_)
    state_.settled_rollbacks = state_.rollbacks;
}

void Trainer::save_first(const std::map<std::string, double>& metrics) {
  last_metrics_ = metrics;
  save(/*is_last=*/true);
}

void Trainer::save(bool is_last) {
  take_settled();
  TrainingState saved = state_;
  if (const auto& spikes = inputs_.experiment.train.spikes) settle_rollbacks(*spikes, saved);
  if (saved.settled_rollbacks != state_.settled_rollbacks && settles_at_ < 0)
    settles_at_ = state_.step;
  saves_->save(saved, last_metrics_, is_last);
}

void Trainer::log_step(const StepReport& report) {
  if (inputs_.grid.rank() != 0) return;
  MetricRecord line;
  line.step = state_.step;
  const StepPlan plan = plan_of(state_.step - 1);
  line.values = {{"loss", report.loss.mean()},
                 {"grad_norm", report.grad_norm},
                 {"learning_rate", report.learning_rate},
                 {"epoch", static_cast<double>(plan.epoch)},
                 {"step_seconds", report.seconds},
                 {"train_seconds", state_.train_seconds}};
  for (const auto& [name, total] : report.loss.totals)
    if (name != "loss") line.values.emplace_back(name, total.mean());
  const bool has_tokens = inputs_.assembly.architecture->sequence_length() > 0;
  line.values.emplace_back(
      has_tokens ? "tokens_per_second" : "samples_per_second",
      static_cast<double>(has_tokens ? plan.num_tokens : plan.num_samples) / report.seconds);
  for (MetricSink* sink : sinks_) sink->record(line);
}

/// Also the first step: what the first weights do to gradients.
bool Trainer::is_watched(int64_t step) const {
  const int64_t every = inputs_.experiment.log.gradient_norms_every_steps;
  return every > 0 && (step == 1 || step % every == 0);
}

void Trainer::log_gradients(const StepReport& report) {
  if (inputs_.grid.rank() != 0 || !is_watched(state_.step)) return;
  if (report.gradient_norms.empty()) {
    if (num_steps_ == 0)
      log_warning(
          "train",
          "log.gradient_norms_every_steps: no layer of this model says gradients inside of it");
    return;
  }
  MetricRecord line;
  line.split = "gradients";
  line.step = state_.step;
  for (const auto& [name, norms] : report.gradient_norms) {
    line.values.emplace_back(name + ".first", norms.front());
    line.values.emplace_back(name + ".last", norms.back());
  }
  for (MetricSink* sink : sinks_) {
    sink->record(line);
    sink->record_gradients(state_.step, report.gradient_norms);
  }
}

/// Of any rank: a signal that came to one of them.
bool Trainer::agree_to_stop() {
  double votes = inputs_.stop_requested ? 1 : 0;
  inputs_.grid.world().all_reduce_values({&votes, 1}, ReduceOp::kMax, "signal to stop");
  return votes > 0;
}

/// A signal gives it up; it is done first when the run goes on.
void Trainer::evaluate() {
  if (!inputs_.assembly.validation) {
    state_.evaluated_step = state_.step;
    return;
  }
  const TraceSpan span(&inputs_.trace, TraceKind::kEvaluate, "evaluation");
  inputs_.grid.world().progress().report(state_.step, "evaluation");
  const auto start = Clock::now();
  EvaluationLoader loader(loader_options(inputs_, *inputs_.assembly.validation, "validation"),
                          inputs_.experiment.train.microbatch_size);
  strategy_.show_average();
  const EvaluationResult result = strategy_.evaluate([&]() -> std::optional<Batch> {
    if (stop_agreed_ || (stop_agreed_ = agree_to_stop())) return std::nullopt;
    return loader.next();
  });
  strategy_.show_weights();
  inputs_.grid.world().progress().report(state_.step, "");
  if (stop_agreed_) return;
  last_metrics_.clear();
  last_metrics_["validation/loss"] = result.loss.mean();
  for (const auto& [name, value] : result.metrics) last_metrics_["validation/" + name] = value;
  state_.evaluated_step = state_.step;

  const bool is_better = std::isfinite(result.loss.mean()) &&
                         (!state_.best_value || result.loss.mean() < *state_.best_value);
  if (is_better) {
    state_.best_value = result.loss.mean();
    state_.best_step = state_.step;
    state_.evaluations_without_improvement = 0;
  } else {
    ++state_.evaluations_without_improvement;
  }
  out_of_patience_ = is_out_of_patience(inputs_.experiment, state_);

  if (inputs_.grid.rank() != 0) return;
  MetricRecord line;
  line.split = "validation";
  line.step = state_.step;
  line.values.emplace_back("loss", result.loss.mean());
  for (const auto& [name, value] : result.metrics) line.values.emplace_back(name, value);
  line.values.emplace_back("seconds", seconds_since(start));
  for (MetricSink* sink : sinks_) sink->record(line);
  if (out_of_patience_)
    log_info("train", "stops early: validation/loss did not improve on ",
             state_.best_value ? fmt::format("{:.4f}", *state_.best_value) : "any finite value",
             " (step ", state_.best_step, ") for ", state_.evaluations_without_improvement,
             " evaluations");
}

/// What the model generates by now, if it is due and not there yet. As with an evaluation, a signal
/// gives it up, and it is done first when the run goes on.
void Trainer::make_samples(bool is_last) {
  if (!samples_ || stop_agreed_ || sampled_step_ == state_.step) return;
  if (!samples_->are_due(state_.step, is_last)) return;
  if (num_steps_ == 0 && samples_->are_made(state_.step)) return;
  inputs_.grid.world().progress().report(state_.step, "samples");
  const FileDeadline patience(inputs_.grid.world(), communication_timeout(inputs_.experiment));
  strategy_.show_average();
  const std::optional<SampleRecord> samples =
      samples_->generate(strategy_.predictor(), state_.step, inputs_.stop_requested, stop_agreed_);
  strategy_.show_weights();
  inputs_.grid.world().progress().report(state_.step, "");
  sampled_step_ = state_.step;
  if (!samples || inputs_.grid.rank() != 0) return;
  samples_->write(*samples);
  for (MetricSink* sink : sinks_) sink->record_samples(*samples);
}

}  // namespace triga
