// triga train: this rank of a run; alone, or started by mpirun or srun.
#include "launchers/train.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <iostream>

#include "launchers/command.h"
#include "launchers/compute_process.h"
#include "launchers/crash.h"
#include "launchers/loaded_experiment.h"
#include "launchers/programs.h"
#include "launchers/stop_signals.h"
#include "launchers/world.h"
#include "trainer/from_first_rank.h"
#include "trainer/training_run.h"

namespace triga {
namespace {

std::atomic<bool> stop_requested = false;
StopRequests requests;

bool second_signal_ends = true;

/// The first signal asks for a save and an end at the next step; the second ends at once.
void request_stop(int signal) {
  stop_requested = true;
  if (requests.count() > 1 && second_signal_ends) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
}

/// In a step of Slurm a rank gets several in the normal course, from the job's script and from Slurm
/// itself, which kills what stays.
void catch_signals(const Placement& placement) {
  second_signal_ends = placement.launcher != "PMIx";
  catch_stop_signals(request_stop);
}

/// Throws: ConfigError.
std::optional<double> seconds_of(const char* name) {
  const auto text = environment_variable(name);
  if (!text) return std::nullopt;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || !(seconds >= 0))
    throw ConfigError(fmt::format("{}: '{}' is not a number of seconds", name, *text));
  return seconds;
}

/// As the job's script knows them. Throws: ConfigError.
JobTimes job_times() {
  return {seconds_of("TRIGA_GRACE_SECONDS"), seconds_of("TRIGA_KILL_WAIT_SECONDS")};
}

/// How the user starts the run again.
std::string command_of(const CommandEnvironment& environment,
                       const ExperimentArguments& arguments) {
  if (const auto of_launcher = environment_variable(kStartCommandVariable)) return *of_launcher;
  std::string line = environment.placement.world_size == 1
                         ? "triga train"
                         : fmt::format("triga launch -n {}", environment.placement.world_size);
  line += " " + shell_word(arguments.file);
  for (const std::string& override : arguments.overrides) line += " --set " + shell_word(override);
  if (arguments.resume != "auto") line += " --resume " + shell_word(arguments.resume);
  if (!arguments.run_dir.empty()) line += " --run-dir " + shell_word(arguments.run_dir);
  return line;
}

/// Prints what ended the run and leaves at once: with peers that are gone, neither MPI nor threads
/// can be ended in order.
[[noreturn]] void leave(const Error& error, const Communicator& world) {
  std::cout.flush();
  const std::string who = world.size() == 1 ? "" : fmt::format("rank {}: ", world.rank());
  if (dynamic_cast<const SaidByFirstRank*>(&error) == nullptr)
    std::cerr << "triga: error: " << who << error.what() << std::endl;
  ::_exit(static_cast<int>(error.status()));
}

/// A job has more than this process, which nobody started as one of several ranks.
void say_alone(const CommandEnvironment& environment) {
  if (environment.placement.is_launched() || !environment.allocation) return;
  std::cerr << "triga: in " << describe(*environment.allocation)
            << ", but not started by srun or mpirun: a run of one rank, on this host. On all that "
               "the job has: triga launch EXPERIMENT\n";
}

}  // namespace

ExitStatus train(const CommandEnvironment& environment, const ExperimentArguments& arguments) {
  if (!environment.placement.problem.empty()) throw ConfigError(environment.placement.problem);
  catch_signals(environment.placement);  // one that comes while libraries are loaded counts, too
  prepare_to_compute(environment.placement.local_size);
  const LoadedExperiment loaded(environment, arguments, LoadedExperiment::Purpose::kCompute);
  loaded.check_grid(environment.placement.world_size);
  const JobTimes times = job_times();
  const CheckedWorld checked = open_world(environment, loaded, leave);
  Communicator* const world = checked.world.get();
  // After MPI, which has a handler of its own.
  CrashReporter crashes(environment.executable, *world, command_of(environment, arguments));

  TerminalOptions terminal_options;
  terminal_options.is_interactive =
      arguments.progress == "auto" ? environment.is_terminal : arguments.progress == "bar";
  terminal_options.use_color = environment.use_color && terminal_options.is_interactive;
  Terminal terminal(terminal_options);
  TrainingRunOptions options{loaded.resolved(),
                             loaded.kinds().registry(),
                             posix_files(),
                             {},
                             environment.cache_dir,
                             world->rank() == 0 ? &terminal : nullptr,
                             loaded.kinds().identities(),
                             loaded.device().description(),
                             loaded.device().versions(),
                             command_of(environment, arguments),
                             stop_requested,
                             arguments.profile_steps,
                             {},
                             {}};
  options.start_notes = checked.notes;
  options.job_times = times;
  options.start.directory = RunDirectory{loaded.run_directory()};
  options.start.resume = arguments.resume;
  options.start.fresh = arguments.fresh;
  options.on_begin = [&](const std::string& lease_token) {
    crashes.begin(loaded.run_directory(), lease_token);
  };
  const auto give_up = [&](const Error& error) {
    terminal.keep_bar();
    leave(error, *world);
  };
  options.on_failure = give_up;
  try {
    const ExitStatus status = run_training(*world, options);
    world->finish();
    return status;
  } catch (const Error& error) {
    give_up(error);
    throw;
  }
}

void add_train(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<ExperimentArguments>();
  CLI::App* sub =
      app.add_subcommand("train", "Train: this rank of a run; alone, or under mpirun or srun.");
  arguments->add_to(*sub);
  sub->footer(
      "\nExamples:\n  triga train experiments/quickstart.yaml --set train.max_steps=50\n"
      "  mpirun -n 4 --bind-to none triga train a.yaml\n"
      "  srun --mpi=pmix -N 2 --ntasks-per-node=4 --cpus-per-task=8 triga train a.yaml\n\n"
      "The same command again goes on where the run stopped. SIGTERM, SIGINT, SIGHUP, SIGUSR1 and "
      "SIGUSR2 "
      "save and stop (exit 75); a second one stops at once, but under srun, where Slurm itself "
      "ends what stays. In a batch script\nor a shell of salloc it is a run of one rank: the other "
      "hosts of a job are for srun and `triga launch`.");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] {
      say_alone(command.environment);
      return train(command.environment, *arguments);
    };
  });
}

}  // namespace triga
