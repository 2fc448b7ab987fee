#include "trainer/training_run.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/foreign_errors.h"
#include "base/log_outputs.h"
#include "base/memory_meter.h"
#include "base/progress_bar.h"
#include "checkpoint/environment.h"
#include "checkpoint/initialize.h"
#include "checkpoint/reader.h"
#include "comm/process_grid.h"
#include "config/placed.h"
#include "metrics/run_status.h"
#include "parallel/data_parallel/bucket_size.h"
#include "parallel/pipeline/schedule_text.h"
#include "trainer/data_fingerprints.h"
#include "trainer/failure_report.h"
#include "trainer/file_deadline.h"
#include "trainer/from_first_rank.h"
#include "trainer/hang_watch.h"
#include "trainer/last_words.h"
#include "trainer/lease.h"
#include "trainer/model_check.h"
#include "trainer/pipeline_setup.h"
#include "trainer/rank_reporter.h"
#include "trainer/rank_threads.h"
#include "trainer/run_sinks.h"
#include "trainer/snapshot_of_run.h"
#include "trainer/start_checks.h"
#include "trainer/start_links.h"
#include "trainer/step_batches.h"
#include "trainer/trainer.h"
#include "triga/log.h"

namespace triga {
namespace {

/// This process's libraries and processor, and the plugins and the device that the command knows.
Environment environment_of(const TrainingRunOptions& options) {
  Environment environment = this_environment();
  for (const auto* more : {&options.plugins, &options.device_environment})
    for (const auto& [name, version] : *more) environment[name] = version;
  return environment;
}

/// So long may another host take to see a new file: clients of NFS ask again after half a minute.
constexpr auto kShowingOfFiles = std::chrono::seconds(40);

double megabytes(int64_t bytes) {
  return static_cast<double>(bytes) * 1e-6;
}

class Run {
 public:
  Run(Communicator& world, const TrainingRunOptions& options)
      : options_(options),
        world_(world),
        experiment_(options.resolved.experiment),
        directory_(options.start.directory),
        is_first_(world.rank() == 0),
        last_words_(
            world, options.files, directory_, options.command, [this] { lease_.reset(); },
            options.on_failure) {}
  ~Run() { world_.set_trace(nullptr); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  ExitStatus go() {
    const StartDecision decision = decide();
    if (decision.kind == StartDecision::Kind::kFinished) return say_finished();
    open_directory();
    return train(decision);
  }

  void fail(const Error& error) { last_words_.fail(error); }

 private:
  StartDecision decide();
  ExitStatus say_finished();
  void open_directory();
  ExitStatus train(const StartDecision& decision);
  Outcome go_back(TrainerInputs& inputs);
  TrainingState load(const StartDecision& decision);
  void make_trainer(const TrainerInputs& inputs, const TrainingState& state);
  void begin_from(const std::string& origin);
  void open_sinks(const TrainingState& state);
  int64_t choose_bucket_bytes(const ProcessGrid& grid, const StartDecision& decision,
                              ConfigNode& resolved);
  std::vector<size_t> choose_cut(const StartDecision& decision, ConfigNode& resolved);
  void say_start(const TrainingState& state, int64_t taken_bytes);
  void write_status(RunStatus::State state, const std::string& cause,
                    std::optional<ExitStatus> exit_status);

  const TrainingRunOptions& options_;
  Communicator& world_;
  const Experiment& experiment_;
  const std::chrono::milliseconds timeout_ = communication_timeout(experiment_);
  RunDirectory directory_;
  bool is_first_;
  LastWords last_words_;
  int64_t step_ = 0;
  int64_t num_parameters_ = 0;  // of the whole model
  Environment environment_;
  Fingerprints fingerprints_;
  std::map<std::string, double> first_metrics_;  // of another run's checkpoint that it began from
  Trace trace_;
  StepClock clock_{trace_, world_.progress()};
  std::unique_ptr<LogOutputs> log_;
  std::unique_ptr<Lease> lease_;  // of rank 0
  std::vector<std::unique_ptr<MetricSink>> sinks_;
  std::unique_ptr<RankReporter> reporter_;
  // In the order in which they stand on each other: threads of the trainer use all of them.
  std::optional<Assembly> assembly_;
  std::optional<ProcessGrid> grid_;
  std::unique_ptr<Strategy> strategy_;
  std::unique_ptr<Trainer> trainer_;
};

StartDecision Run::decide() {
  std::vector<std::string> notes;  // for rank 0 to say
  // Meanwhile rank 0 reads every byte of a checkpoint.
  const FileDeadline patience(world_, timeout_);
  const std::string text = from_first_rank(world_, "where to start", [&] {
    // First, so that no other run changes what is looked at, or ends just then.
    if (goes_on(options_.files, options_.start, options_.resolved.node))
      lease_ = std::make_unique<Lease>(options_.files, directory_.lease());
    try {
      const StartDecision decision =
          decide_start(options_.files, options_.start, options_.resolved.node);
      if (decision.kind == StartDecision::Kind::kFinished) lease_.reset();
      notes = decision.notes;
      return to_text(decision);
    } catch (...) {
      lease_.reset();
      throw;
    }
  });
  StartDecision decision = start_decision_from_text(text);
  decision.notes = notes;
  return decision;
}

ExitStatus Run::say_finished() {
  if (is_first_ && options_.terminal != nullptr)
    options_.terminal->print_line(fmt::format(
        "The run in {} is finished. To train longer, raise its limit (--set "
        "train.max_steps=N), or, if it stopped early, begin another one from its state "
        "(--run-dir ANOTHER_DIR --resume {}/checkpoints/latest); to start anew, --fresh.",
        directory_.root.string(), directory_.root.string()));
  return ExitStatus::kDone;
}

void Run::open_directory() {
  const std::string token = from_first_rank(world_, "run directory", [this] {
    make_directories(options_.files, directory_.root);
    if (!lease_) lease_ = std::make_unique<Lease>(options_.files, directory_.lease());
    make_directories(options_.files, directory_.logs());
    clear_failure(options_.files, directory_);
    remove_all(options_.files, directory_.rank_records());
    make_directories(options_.files, directory_.rank_records());
    write_status(RunStatus::State::kRunning, "", std::nullopt);
    return lease_->token();
  });
  last_words_.begin(token);
  if (options_.on_begin) options_.on_begin(token);
  check_hosts_see_run(world_, options_.files, directory_, token,
                      std::min<std::chrono::milliseconds>(kShowingOfFiles, timeout_ / 2));
  LogOutputOptions log;
  log.file = (directory_.logs() / fmt::format("rank-{}.log", world_.rank())).string();
  log.terminal = options_.terminal;
  log.is_json = experiment_.log.format == LogConfig::Format::kJson;
  log.rank = world_.rank();
  log_ = std::make_unique<LogOutputs>(log);
  world_.set_trace(&trace_);
  world_.progress().set_activity("preparing");
  reporter_ = std::make_unique<RankReporter>(world_, trace_, clock_, options_.files, directory_);
}

/// Ranks read at different paces; gathering an average in between is an operation of their groups.
TrainingState Run::load(const StartDecision& decision) {
  const FileDeadline patience_of_group(grid_->data(), timeout_);
  Strategy& strategy = *strategy_;
  const Assembly& assembly = *assembly_;
  strategy.parameters().initialize(static_cast<uint64_t>(experiment_.train.seed));
  if (decision.checkpoint) {
    const Checkpoint checkpoint(options_.files, *decision.checkpoint);
    const TrainingState state = checkpoint.state();
    check_data(fingerprints_, state, is_first_);
    restore(strategy, *assembly.architecture, checkpoint, &world_.progress());
    const int64_t num_microbatches =
        num_microbatches_of_step(experiment_, *assembly.architecture, *assembly.train);
    restore_sequence_state(strategy, checkpoint,
                           share_of_rank(num_microbatches, grid_->dp_rank(), grid_->dp()));
    if (!decision.origin.empty() &&
        is_evaluated_alike(options_.files, *decision.checkpoint, options_.resolved.node, state,
                           fingerprints_))
      first_metrics_ = checkpoint.manifest().metrics;
    strategy.optimizer().set_num_updates(state.step - state.skipped_steps);
    if (is_first_) {
      log_info("train", "goes on from ", decision.checkpoint->string(), " (step ", state.step, ")");
      for (const std::string& difference :
           environment_differences(checkpoint.manifest().environment, environment_))
        log_warning("train", difference, "; the run may differ",
                    difference.starts_with("plugin ") ? "" : " in the last bits");
    }
    return state;
  }
  if (const auto& init = experiment_.model.init) {
    const std::string line = placed(init->place, [&] {
      return load_weights(strategy, *assembly.architecture, options_.files, init->from.path,
                          {init->strict, init->reinitialize});
    });
    if (is_first_) log_info("train", line);
  }
  return {};
}

/// Rank 0's looks at the checkpoints that are there, and clears what a crash left among them.
void Run::make_trainer(const TrainerInputs& inputs, const TrainingState& state) {
  trainer_ = at_the_pace_of_files(world_, timeout_, "old checkpoints", [&] {
    return std::make_unique<Trainer>(inputs, *strategy_, state);
  });
}

/// The run is one of its own from its first checkpoint on, whatever becomes of the other one.
void Run::begin_from(const std::string& origin) {
  if (is_first_) atomic_write(options_.files, directory_.origin(), origin);
  trainer_->save_first(first_metrics_);
}

void Run::open_sinks(const TrainingState& state) {
  if (!is_first_) return;
  sinks_ = triga::open_sinks({experiment_, options_.files, directory_, options_.terminal,
                              trainer_->max_steps(), world_.host(0)},
                             state);
  for (const auto& sink : sinks_) trainer_->add_sink(*sink);
  trainer_->add_sink(*reporter_);
}

void Run::say_start(const TrainingState& state, int64_t taken_bytes) {
  if (!is_first_) return;
  Strategy& strategy = *strategy_;
  log_info("train", experiment_.name, ": ", fmt::format("{:L}", num_parameters_), " parameters, ",
           world_.size(), world_.size() == 1 ? " rank on " : " ranks, this one on ",
           options_.device, ", ", at::get_num_threads(),
           at::get_num_threads() == 1 ? " thread" : " threads", " each; ",
           state.step == 0 ? "a new run" : fmt::format("from step {}", state.step), " in ",
           directory_.root.string());
  if (!experiment_.train.deterministic && options_.device != "CPU")
    log_warning("train",
                "train.deterministic is false: a repetition or a resume of this run may "
                "differ in its last bits, and then in more");
  if (const auto step = trainer_->last_step_that_learns())
    log_warning(
        "train", "the learning rate is 0 after step ", *step, ": what follows, up to step ",
        *trainer_->max_steps(),
        ", learns nothing. learning_rate_schedule.decay_steps is what the run's first start "
        "made of it, also when the limit grows. To learn for longer: another run from this "
        "one's state, --run-dir ANOTHER_DIR --resume ",
        (directory_.checkpoints() / "latest").string(),
        " --set learning_rate_schedule.decay_steps=", *trainer_->max_steps());
  const auto& own_schedule = experiment_.parallel.pipeline_schedule_file;
  const std::string& schedule =
      own_schedule ? own_schedule->path : experiment_.parallel.pipeline_schedule;
  if (grid_->pp() > 1)
    log_info("train", fmt::format("pipeline of {} ranks, {} stages, {}{}", grid_->pp(),
                                  strategy.model().flow().size(), schedule,
                                  grid_->dp() > 1 ? fmt::format("; {} of them", grid_->dp()) : ""));
  const ScheduleChoice choice = schedule_choice_of(experiment_.parallel);
  if (splits_backward(choice.own ? *choice.own : choice.schedule(grid_->pp(), 1)) &&
      experiment_.parallel.recompute != "none")
    log_warning("train", schedule, " gains nothing with parallel.",
                "recompute: ", experiment_.parallel.recompute,
                ": what is recomputed gives all its gradients at once");
  const MemoryPlan plan = strategy.memory_plan();
  log_info(
      "train",
      fmt::format("memory of a rank: {:.1f} MB planned (values {:.1f}, gradients {:.1f}, "
                  "optimizer {:.1f}), {:.1f} MB taken",
                  megabytes(plan.total_bytes()), megabytes(plan.values_bytes + plan.fixed_bytes),
                  megabytes(plan.gradients_bytes),
                  megabytes(plan.masters_bytes + plan.optimizer_bytes), megabytes(taken_bytes)));
}

/// Set, or measured by an earlier start, or measured now; what was measured is put into `resolved`.
int64_t Run::choose_bucket_bytes(const ProcessGrid& grid, const StartDecision& decision,
                                 ConfigNode& resolved) {
  if (experiment_.parallel.bucket_bytes) return *experiment_.parallel.bucket_bytes;
  if (grid.dp() == 1 && !decision.bucket_bytes) return Strategy::Options().bucket_bytes;
  int64_t bytes =
      decision.bucket_bytes
          ? *decision.bucket_bytes
          : measure_bucket_bytes(grid.data(), num_parameters_ / grid.pp() * int64_t{sizeof(float)});
  double agreed = static_cast<double>(bytes);  // stages may measure differently
  world_.all_reduce_values({&agreed, 1}, ReduceOp::kMax, "size of buckets");
  bytes = static_cast<int64_t>(agreed);
  set_bucket_bytes(resolved, bytes);
  return bytes;
}

/// A cut that was measured, now or earlier, is put into `resolved`.
std::vector<size_t> Run::choose_cut(const StartDecision& decision, ConfigNode& resolved) {
  const PipelineSetup setup = set_up_pipeline(experiment_, *assembly_, *grid_, decision.partition);
  if (!setup.chosen_cuts) return setup.bounds;
  set_partition_cuts(resolved, *setup.chosen_cuts);
  if (is_first_)
    log_info("train", "the model is cut before layer ",
             fmt::format("{}", fmt::join(*setup.chosen_cuts, ", ")),
             !setup.is_measured   ? ", as at the first start"
             : setup.needed_bytes ? ": for the least memory"
                                  : ": for the least time, by what its layers take here");
  if (is_first_ && setup.needed_bytes)
    log_warning("train", fmt::format("a rank needs {:.1f} MB, more than it has: no cut into {} "
                                     "stages takes less. Take more ranks (parallel.pp), a smaller "
                                     "train.microbatch_size, or parallel.recompute",
                                     megabytes(*setup.needed_bytes), setup.bounds.size() - 1));
  return setup.bounds;
}

ExitStatus Run::train(const StartDecision& decision) {
  std::optional<HangWatch> watch(std::in_place, world_.progress(), trace_, timeout_,
                                 [this](const auto&... words) { last_words_.hang(words...); });
  for (const std::string& note : options_.start_notes) log_warning("start", note);
  for (const std::string& note : decision.notes) log_warning("train", note);
  measure_links(world_, experiment_.log.measure_links);
  environment_ = environment_of(options_);
  choose_threads(world_, options_.files, experiment_.parallel.threads, decision.checkpoint,
                 environment_);
  AssemblyOptions assembly_options;
  assembly_options.cache_dir = options_.cache_dir;
  if (decision.checkpoint)
    assembly_options.checkpoint_files = read_model_files(options_.files, *decision.checkpoint);
  const ReportProgress show =
      options_.terminal ? progress_bar(*options_.terminal) : ReportProgress(no_progress);
  assembly_options.report_progress = [&](const auto&... how_far) {
    world_.progress().move();
    show(how_far...);
  };
  // The cache of tokens may have to be made on one host alone.
  assembly_ = at_the_pace_of_files(world_, timeout_, "reading the data", [&] {
    Assembly made = assemble(experiment_, options_.registry, assembly_options);
    num_parameters_ = check_model(experiment_, made, options_.files, !decision.checkpoint);
    fingerprints_ = data_fingerprints(world_, made);
    return made;
  });
  grid_.emplace(world_,
                resolve_grid(world_.size(), experiment_.parallel.dp, experiment_.parallel.pp));
  reporter_->set_stage_rank(grid_->pp_rank());

  ConfigNode resolved = options_.resolved.node;
  const int64_t bucket_bytes = choose_bucket_bytes(*grid_, decision, resolved);
  Strategy::Options strategy_options = strategy_options_of(experiment_);
  strategy_options.schedule = schedule_choice_of(experiment_.parallel);
  strategy_options.bucket_bytes = bucket_bytes;
  strategy_options.bounds = choose_cut(decision, resolved);
  strategy_options.trace = &trace_;
  if (experiment_.log.samples)
    set_sample_inputs(resolved, resolved_sample_inputs(experiment_, *assembly_->architecture));
  const int64_t bytes_before = MemoryMeter::use(world_.device()).now_bytes;
  strategy_ = std::make_unique<Strategy>(*assembly_->architecture,
                                         Strategy::Groups{world_, grid_->data(), grid_->pipeline()},
                                         strategy_options, assembly_->make_optimizer());
  strategy_->add_metrics(assembly_->make_metrics());
  TrainingState state =
      at_the_pace_of_files(world_, timeout_, "reading the state", [&] { return load(decision); });
  if (!decision.origin.empty() && is_out_of_patience(experiment_, state))
    state.evaluations_without_improvement = 0;  // who begins from its end wants to go on
  step_ = state.step;
  world_.set_step(step_);

  TrainerInputs inputs{experiment_,
                       *assembly_,
                       *grid_,
                       options_.files,
                       directory_,
                       resolved,
                       decision.decay_steps,
                       environment_,
                       lease_.get(),
                       options_.stop_requested,
                       trace_,
                       clock_,
                       options_.profile_steps,
                       fingerprints_,
                       std::nullopt,
                       options_.job_times};
  make_trainer(inputs, state);
  if (!decision.origin.empty()) begin_from(decision.origin);
  if (is_first_) atomic_write(options_.files, directory_.resolved(), trainer_->resolved());
  open_sinks(state);
  say_start(state, MemoryMeter::use(world_.device()).now_bytes - bytes_before);
  world_.progress().set_activity("");
  watch->begin_steps();
  Outcome outcome = trainer_->run();
  while (outcome == Outcome::kSpikes) outcome = go_back(inputs);
  watch.reset();
  sinks_.clear();
  const ExitStatus exit_status =
      outcome == Outcome::kStopped ? ExitStatus::kStopped : ExitStatus::kDone;
  if (is_first_) {
    step_ = trainer_->state().step;
    write_status(
        outcome == Outcome::kStopped ? RunStatus::State::kStopped : RunStatus::State::kFinished,
        outcome == Outcome::kStopped        ? "stopped on a signal, saved"
        : outcome == Outcome::kStoppedEarly ? "no improvement for eval.patience evaluations"
                                            : "reached its limit",
        exit_status);
    log_info("train", outcome == Outcome::kStopped ? "stopped on a signal" : "done", " at step ",
             step_, "; checkpoints in ", directory_.checkpoints().string());
    lease_.reset();
  }
  world_.barrier("end of the run");
  return exit_status;
}

/// To the newest good checkpoint from before the spikes. What was read since then is left out.
Outcome Run::go_back(TrainerInputs& inputs) {
  const TrainingState spikes = trainer_->state();
  sinks_.clear();
  trainer_.reset();
  StartDecision decision;
  {
    const FileDeadline patience(world_, timeout_);  // reads every byte
    decision.checkpoint = from_first_rank(world_, "where to go back to", [&] {
      return find_checkpoint(options_.files, directory_.root, spikes.first_spike_step)
          .directory.value_or("")
          .string();
    });
  }
  if (decision.checkpoint->empty())
    throw DivergedError(fmt::format(
        "the run diverged: {} spikes of the loss in a row up to step {}, and there is no good "
        "checkpoint from before them to go back to.\n  Try a lower optimizer.learning_rate, or "
        "save more often (checkpoint.every_steps, checkpoint.keep_last).",
        spikes.spikes_in_a_row, spikes.step));
  TrainingState state =
      at_the_pace_of_files(world_, timeout_, "reading the state", [&] { return load(decision); });
  strategy_->forget_sequences();  // their data do not go on
  state.left_out_steps = spikes.step + spikes.left_out_steps - state.step;
  state.rollbacks = spikes.rollbacks + 1;
  state.train_seconds = spikes.train_seconds;
  step_ = state.step;
  if (is_first_)
    log_warning("train", "went back from step ", spikes.step, " to ", state.step, " after ",
                spikes.spikes_in_a_row, " spikes of the loss in a row; the data of the ",
                spikes.step - state.step, " steps in between are left out (", state.left_out_steps,
                " steps since the start of the run)");
  inputs.gone_back_to = read_manifest(options_.files, *decision.checkpoint).metrics;
  make_trainer(inputs, state);
  open_sinks(state);
  return trainer_->run();
}

void Run::write_status(RunStatus::State state, const std::string& cause,
                       std::optional<ExitStatus> exit_status) {
  RunStatus status;
  status.state = state;
  status.cause = cause;
  status.step = step_;
  if (exit_status) status.exit_status = static_cast<int>(*exit_status);
  write_run_status(options_.files, directory_.status(), status);
}

}  // namespace

ExitStatus run_training(Communicator& world, const TrainingRunOptions& options) {
  Run run(world, options);
  const auto go = [&] {
    try {
      return run.go();
    } catch (...) {
      rethrow_as_error();
    }
  };
  try {
    return go();
  } catch (const Error& error) {
    run.fail(error);
    throw;
  }
}

}  // namespace triga
