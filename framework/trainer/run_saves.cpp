#include "trainer/run_saves.h"

#include "trainer/file_deadline.h"
#include "trainer/snapshot_of_run.h"
#include "triga/log.h"

namespace triga {
namespace {

WriterOptions writer_options(const Experiment& experiment) {
  WriterOptions options;
  options.retention.keep_last = experiment.checkpoint.keep_last;
  if (const auto& best = experiment.checkpoint.keep_best)
    options.retention.keep_best =
        KeepBest{best->metric, best->mode == KeepBestConfig::Mode::kMax, best->count};
  return options;
}

}  // namespace

RunSaves::RunSaves(const TrainerInputs& inputs, Strategy& strategy, const std::string& resolved,
                   int64_t first_step)
    : inputs_(inputs),
      strategy_(strategy),
      resolved_(resolved),
      files_(further_model_files(inputs.assembly)),
      writer_(inputs.files, inputs.directory.checkpoints(), writer_options(inputs.experiment),
              inputs.grid.rank() == 0),
      background_(writer_),
      grace_(inputs.grace_seconds),
      saved_step_(first_step > 0 ? first_step : -1) {
  if (inputs.gone_back_to && is_first()) writer_.remove_after(first_step);
}

void RunSaves::cast_votes(std::span<double, kNumVotes> votes) const {
  votes[0] = background_.vote();
  const auto& minutes = inputs_.experiment.checkpoint.every_minutes;
  const std::chrono::duration<double> passed = Clock::now() - began_at_;
  votes[1] = is_first() && minutes && passed.count() >= *minutes * 60 ? 1 : 0;
}

void RunSaves::take_votes(std::span<const double, kNumVotes> votes) {
  is_due_by_clock_ = votes[1] > 0;
  ++num_steps_;
  if (!background_.is_busy()) return;
  if (inputs_.lease != nullptr) inputs_.lease->check();
  bool is_over = false;
  const std::string failure =
      failure_of([&] { is_over = background_.advance(votes[0], inputs_.grid.world()); });
  if (!failure.empty())
    warn(background_.step(), failure);
  else if (is_over)
    is_saved(background_.step(), true);
}

bool RunSaves::is_due(int64_t step) const {
  const int64_t every = inputs_.experiment.checkpoint.every_steps;
  return is_due_by_clock_ || (every > 0 && step % every == 0);
}

void RunSaves::save(const TrainingState& state, const std::map<std::string, double>& metrics,
                    bool is_last) {
  finish();
  const TraceSpan span(&inputs_.trace, TraceKind::kCheckpoint, "checkpoint");
  inputs_.grid.world().progress().report(state.step, "saving a checkpoint");
  inputs_.clock.enter_save();
  if (inputs_.lease != nullptr) inputs_.lease->check();
  const bool in_background = inputs_.experiment.checkpoint.asynchronous && !is_last;
  began_at_ = Clock::now();
  num_steps_ = 0;
  is_due_by_clock_ = false;
  strategy_.show_average();
  const std::string failure = failure_of([&] {
    if (in_background)
      background_.start(snapshot(state, metrics, &buffers_), inputs_.grid.world());
    else
      writer_.save(snapshot(state, metrics, nullptr), inputs_.grid.world());
  });
  strategy_.show_weights();
  inputs_.clock.enter(Phase::kOther);
  inputs_.grid.world().progress().report(state.step, "");
  if (failure.empty()) {
    if (!in_background) is_saved(state.step, false);
    return;
  }
  if (is_last) throw CheckpointError(failure);
  warn(state.step, failure);
}

void RunSaves::finish() {
  if (!background_.is_busy()) return;
  const int64_t step = background_.step();
  if (is_first())
    log_info("checkpoint", "waits until the checkpoint of step ", step, " is written");
  const TraceSpan span(&inputs_.trace, TraceKind::kCheckpoint, "wait for a checkpoint");
  if (inputs_.lease != nullptr) inputs_.lease->check();
  inputs_.grid.world().progress().set_activity("waiting for a checkpoint to be written");
  const std::string failure = failure_of([&] { background_.finish(inputs_.grid.world()); });
  inputs_.grid.world().progress().set_activity("");
  if (failure.empty())
    is_saved(step, true);
  else
    warn(step, failure);
}

Snapshot RunSaves::snapshot(const TrainingState& state,
                            const std::map<std::string, double>& metrics, HostBuffers* buffers) {
  Snapshot snapshot = take_snapshot(strategy_, *inputs_.assembly.architecture, buffers);
  snapshot.files = files_;
  snapshot.state = state;
  snapshot.resolved = resolved_;
  snapshot.environment = inputs_.environment;
  if (state.evaluated_step == state.step) snapshot.metrics = metrics;
  return snapshot;
}

/// What a checkpoint error of `action` says, the same on every rank. Files may take their time.
template <class Action>
std::string RunSaves::failure_of(const Action& action) {
  const FileDeadline patience(inputs_.grid.world(), communication_timeout(inputs_.experiment));
  try {
    action();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

void RunSaves::is_saved(int64_t step, bool in_background) {
  saved_step_ = step;
  const std::chrono::duration<double> passed = Clock::now() - began_at_;
  grace_.save_took(passed.count(), in_background);
  const std::string warning = grace_.take_warning();
  if (is_first() && !warning.empty()) log_warning("checkpoint", warning);
  if (is_first())
    log(LogLevel::kDebug, "checkpoint",
        c10::str("step ", step, " is saved, ", num_steps_, " steps later"));
  for (const std::string& warning : writer_.take_warnings()) log_warning("checkpoint", warning);
}

void RunSaves::warn(int64_t step, const std::string& failure) const {
  if (is_first())
    log_warning("checkpoint", "step ", step,
                " could not be saved; the run goes on, older checkpoints stay: ", failure);
}

}  // namespace triga
