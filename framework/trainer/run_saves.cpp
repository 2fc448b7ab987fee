#include "trainer/run_saves.h"

#include <algorithm>

#include "checkpoint/checksum.h"
#include "trainer/file_deadline.h"
#include "trainer/snapshot_of_run.h"
#include "triga/log.h"

namespace triga {
namespace {

/// Eight digits are enough to tell the starts of one run apart.
std::string start_of(const Lease* lease) {
  return lease == nullptr ? "" : checksum_of(lease->token()).substr(0, 8);
}

WriterOptions writer_options(const Experiment& experiment, const Lease* lease) {
  WriterOptions options;
  options.start = start_of(lease);
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
      writer_(inputs.files, inputs.directory.checkpoints(),
              writer_options(inputs.experiment, inputs.lease), inputs.grid.rank() == 0),
      background_(writer_),
      grace_{GracePeriod(GracePeriod::Signal::kBeforeTheEnd, inputs.job_times.grace_seconds),
             GracePeriod(GracePeriod::Signal::kOfTheEnd, inputs.job_times.kill_wait_seconds)},
      saved_step_(first_step > 0 ? first_step : -1) {
  if (!is_first()) return;
  if (inputs.gone_back_to) writer_.remove_after(first_step);
  watch_ = std::make_unique<SaveWatch>(
      communication_timeout(inputs.experiment),
      [](const std::string& warning) { log_warning("checkpoint", warning); });
}

void RunSaves::cast_votes(std::span<double, kNumVotes> votes) const {
  votes[0] = background_.vote();
  votes[2] = votes[0] * inputs_.grid.rank();  // so that one that is missing is known
  const auto& minutes = inputs_.experiment.checkpoint.every_minutes;
  const std::chrono::duration<double> passed = Clock::now() - began_at_;
  votes[1] = is_first() && minutes && passed.count() >= *minutes * 60 ? 1 : 0;
}

void RunSaves::take_votes(std::span<const double, kNumVotes> votes) {
  is_due_by_clock_ = votes[1] > 0;
  ++num_steps_;
  if (!background_.is_busy()) return;
  if (watch_) watch_->heard(who_has_not_saved(votes[0], votes[2], inputs_.grid.world().size()));
  if (inputs_.lease != nullptr) inputs_.lease->check();
  bool is_over = false;
  const std::string failure =
      failure_of([&] { is_over = background_.advance(votes[0], inputs_.grid.world()); });
  if (!failure.empty())
    has_failed(background_.step(), failure);
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
  if (watch_) watch_->begin(state.step);
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
  has_failed(state.step, failure);
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
    has_failed(step, failure);
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
  if (watch_) watch_->end();
  saved_step_ = step;
  const std::chrono::duration<double> passed = Clock::now() - began_at_;
  for (GracePeriod& grace : grace_) {
    grace.save_took(passed.count(), in_background);
    const std::string warning = grace.take_warning();
    if (is_first() && !warning.empty()) log_warning("checkpoint", warning);
  }
  if (is_first())
    log(LogLevel::kDebug, "checkpoint",
        c10::str("step ", step, " is saved, ", num_steps_, " steps later"));
  for (const std::string& warning : writer_.take_warnings()) log_warning("checkpoint", warning);
}

SaveRecord RunSaves::record() const {
  return {std::max<int64_t>(saved_step_, 0), num_failed_};
}

void RunSaves::has_failed(int64_t step, const std::string& failure) {
  if (watch_) watch_->end();
  ++num_failed_;
  if (is_first())
    log_warning("checkpoint", "step ", step,
                " could not be saved; the run goes on, older checkpoints stay: ", failure);
}

}  // namespace triga
