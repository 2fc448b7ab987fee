// triga launch: starts all ranks through mpirun, on this host or on several, and turns its status
// into ours.
//
// What Open MPI 4.1's mpirun does, and what is done about it:
//   - it refuses root, and more ranks than cores: both are allowed here, for containers and tests;
//   - it binds a rank and all its threads to one core: --bind-to none, ranks set their own number
//     of threads;
//   - when a rank dies it sends SIGTERM to the others a second later: odls_base_sigkill_timeout
//     gives them time to report;
//   - on SIGTERM or SIGINT it kills its ranks within a second: it runs in a process group of its
//     own, and a signal to us is passed on as SIGUSR1, which mpirun forwards and ranks take for
//     "save and stop". The second signal ends it;
//   - its exit status is that of some rank: status.json holds the true one.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>

#include "base/child_process.h"
#include "base/files.h"
#include "base/oom_kills.h"
#include "launchers/command.h"
#include "launchers/experiment_arguments.h"
#include "launchers/host_pool.h"
#include "launchers/loaded_experiment.h"
#include "launchers/mpirun_words.h"
#include "launchers/places.h"
#include "launchers/programs.h"
#include "launchers/restarts.h"
#include "launchers/run_folder.h"
#include "launchers/stop_signals.h"
#include "launchers/train.h"
#include "launchers/wait_for_launcher.h"
#include "metrics/run_status.h"
#include "trainer/run_directory.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

struct LaunchArguments {
  ExperimentArguments experiment;
  PlacesRequest places;
  std::vector<std::string> hosts;
  std::string host_file;
  std::vector<std::string> mpirun_arguments;
};

std::atomic<pid_t> mpirun_pid = 0;
std::atomic<int> last_signal = 0;
StopRequests requests;

/// Async-signal-safe.
void pass_on(int signal) {
  last_signal = signal;
  const int number = requests.count();
  const pid_t pid = mpirun_pid.load();
  if (pid > 0 && number > 0) ::kill(pid, number == 1 ? SIGUSR1 : SIGTERM);
}

/// A request that came before there was anybody to tell is told now, and only once.
void pass_on_to(pid_t pid) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  mpirun_pid = pid;
  if (requests.number() > 0) ::kill(pid, SIGUSR1);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/// Variables that ranks on other hosts would not have.
void add_variables(const LaunchConfig& config, const Places& places,
                   std::vector<std::string>& line) {
  for (const auto& [name, value] : config.environment)
    line.insert(line.end(), {"-x", name + "=" + value});
  if (places.num_hosts == 1) return;
  for (const char* name : kTrigaVariables)
    if (environment_variable(name) && !config.environment.contains(name))
      line.insert(line.end(), {"-x", name});
}

/// mpirun and how it starts programs, wherever they run.
std::vector<std::string> mpirun_words(const CommandEnvironment& environment,
                                      const LaunchArguments& arguments,
                                      const LaunchConfig& config) {
  const fs::path mpirun = find_program("mpirun");
  if (mpirun.empty())
    throw ConfigError(
        "mpirun is not in PATH: several ranks need Open MPI. Install it (Debian: apt-get install "
        "openmpi-bin; clusters: module load openmpi), or train on one rank: triga train "
        "EXPERIMENT");
  std::vector<std::string> line = {
      mpirun.string(), "--oversubscribe",           "--bind-to", "none",
      "--mca",         "odls_base_sigkill_timeout", "3"};
  if (environment.is_root) line.push_back("--allow-run-as-root");
  for (const auto& further : {config.mpirun, arguments.mpirun_arguments})
    line.insert(line.end(), further.begin(), further.end());
  return line;
}

/// One rank needs no MPI, so that it runs where no Open MPI is.
bool needs_mpirun(const LaunchArguments& arguments, const LaunchConfig& config,
                  const Places& places) {
  return places.num_ranks > 1 || !places.hosts.empty() || config.container ||
         !config.mpirun.empty() || !arguments.mpirun_arguments.empty();
}

/// What starts the program of the ranks, which follows.
std::vector<std::string> starter(const CommandEnvironment& environment,
                                 const LaunchArguments& arguments, const LaunchConfig& config,
                                 const Places& places) {
  if (!needs_mpirun(arguments, config, places)) {
    std::vector<std::string> line = {"/usr/bin/env"};
    for (const auto& [name, value] : config.environment) line.push_back(name + "=" + value);
    return line;
  }
  std::vector<std::string> line = mpirun_words(environment, arguments, config);
  line.insert(line.end(), {"-n", std::to_string(places.num_ranks)});
  for (const std::string& word : places.mpirun_arguments()) line.push_back(word);
  add_variables(config, places, line);
  return line;
}

std::vector<std::string> command_line(const CommandEnvironment& environment,
                                      const LaunchArguments& arguments, const LaunchConfig& config,
                                      const Places& places) {
  std::vector<std::string> line = starter(environment, arguments, config, places);
  for (const std::string& word : rank_program(config, environment.executable)) line.push_back(word);
  line.emplace_back("train");
  ExperimentArguments of_ranks = arguments.experiment;
  if (of_ranks.progress == "auto")  // they see a terminal of mpirun's
    of_ranks.progress = environment.is_terminal ? "bar" : "lines";
  for (const std::string& argument : of_ranks.to_command_line()) line.push_back(argument);
  return line;
}

/// One start of the ranks.
struct Start {
  std::vector<std::string> line;
  bool is_mpirun = true;
  bool has_hosts = false;  // that are named, so that one may be left out of the next start
  int num_hosts = 1;
};

struct LauncherEnd {
  int status = 0;  // mpirun's, or where it starts nothing the rank's own
  std::optional<MpirunWords::KilledRank> killed;  // the first one, where mpirun said it
};

ChildProcess start_program(const std::vector<std::string>& line,
                           std::optional<MpirunWords>& words) {
  if (words) return words->start(line);
  return ChildProcess(line, ChildProcess::Streams::kOurs);
}

LauncherEnd run_and_wait(const Start& start, const RunSigns& run) {
  catch_stop_signals(pass_on);
  std::optional<MpirunWords> words;
  if (start.has_hosts) words.emplace();
  ChildProcess program = start_program(start.line, words);
  pass_on_to(program.pid());
  LauncherEnd end;
  end.status = wait_for_launcher(program, run);
  mpirun_pid = 0;
  if (words) end.killed = words->killed_first();
  return end;
}

/// Nothing is waited for any longer.
bool is_to_end_at_once() {
  return requests.number() >= 2;
}

/// The last lines of a run that failed are its own report, below what mpirun and the ranks said.
void print_failure(RunFolder& folder) {
  const std::string report = folder.failure();
  if (!report.empty()) std::cerr << "\n" << report << std::flush;
}

/// What a shell reports of a program that a signal ended.
ExitStatus status_of_signal() {
  return static_cast<ExitStatus>(128 + last_signal);
}

/// A folder that cannot be written was reported by the ranks.
void try_to_write_status(const RunDirectory& directory, const RunStatus& status) {
  try {
    write_run_status(posix_files(), directory.status(), status);
  } catch (const FileError& error) {
    std::cerr << "triga: " << error.what() << "\n";
  }
}

/// The second signal gave the ranks no time to say or save anything; what those that lived a little
/// longer said of the others is not the cause.
ExitStatus end_at_once(const RunDirectory& directory, RunStatus status) {
  status.state = RunStatus::State::kStopped;
  status.exit_status = static_cast<int>(status_of_signal());
  status.cause = "a second signal ended it at once, before it could save";
  try_to_write_status(directory, status);
  std::cerr << "\ntriga: " << status.cause
            << ". The same command goes on from the newest checkpoint.\n";
  return status_of_signal();
}

/// Whether the ranks reported how they ended, and not only that they lost each other.
bool has_own_end(const RunStatus& status) {
  return status.exit_status && *status.exit_status != static_cast<int>(ExitStatus::kCommunication);
}

/// All ranks ended without a report: killed from outside, or by a crash that took all.
RunStatus status_without_report(RunStatus status, const LauncherEnd& launcher,
                                const OomKills& oom_kills) {
  status.state = RunStatus::State::kFailed;
  status.exit_status = static_cast<int>(ExitStatus::kCommunication);
  status.cause = c10::str("all ranks ended without a report; mpirun's status is ", launcher.status);
  if (const auto& first = launcher.killed) {
    status.host = first->host;
    status.cause += c10::str("; the first was rank ", first->rank, " on host ", first->host,
                             ", by signal ", first->signal);
  }
  if (const auto killer = oom_kills.lately())
    status.cause += "; out of memory: " + killer->name + " ended a process here shortly before";
  else if (launcher.status == 137)
    status.cause += " (killed: kill -9, or out of memory)";
  return status;
}

/// The run's own word, of this start.
ExitStatus outcome_of(RunFolder& folder, const LauncherEnd& launcher, const OomKills& oom_kills) {
  const RunDirectory& directory = folder.directory();
  if (const auto status = folder.status()) {
    if (is_to_end_at_once() && !has_own_end(*status)) return end_at_once(directory, *status);
    if (status->state == RunStatus::State::kFailed) print_failure(folder);
    if (status->state == RunStatus::State::kStopped)  // below mpirun's words of non-zero statuses
      std::cerr << "\ntriga: stopped after saving step " << status->step
                << " (exit status 75). The same command goes on.\n";
    if (status->exit_status) return static_cast<ExitStatus>(*status->exit_status);
    RunStatus ended = status_without_report(*status, launcher, oom_kills);
    // Ranks that could not write into the folder ended with a status, and a reason above.
    const bool has_own_status = launcher.status > 0 && launcher.status < 9;
    if (has_own_status) ended.exit_status = launcher.status;
    try_to_write_status(directory, ended);
    if (has_own_status) return static_cast<ExitStatus>(launcher.status);
    throw CommError(ended.cause + "\n  The log of each rank: " + directory.logs().string() +
                    "\n  To go on from the newest checkpoint, run the same command again.");
  }
  if (launcher.status == 0) return ExitStatus::kDone;
  throw CommError(c10::str("mpirun ended with status ", launcher.status,
                           ", and the run has left no status that can be read"));
}

/// Where the run's folder cannot be read: mpirun's status is that of some rank.
ExitStatus outcome_unread(int mpirun_status, const RunFolder& folder) {
  std::cerr << "\ntriga: how the run ended cannot be read: " << folder.problem() << "\n";
  const bool is_of_a_rank = (mpirun_status >= 0 && mpirun_status < 9) ||
                            mpirun_status == static_cast<int>(ExitStatus::kStopped);
  if (is_of_a_rank) return static_cast<ExitStatus>(mpirun_status);
  if (requests.number() > 0) return status_of_signal();
  throw CommError(c10::str("mpirun ended with status ", mpirun_status));
}

constexpr const char* kHostsAnswer = "  Hosts must answer `ssh HOST true` without a question\n";

/// Where the run has not begun.
ExitStatus outcome_before(int mpirun_status, const Start& start) {
  if (mpirun_status == 0) return ExitStatus::kDone;
  if (requests.number() > 0) {
    std::cerr << "\ntriga: a signal ended it before the run had begun\n";
    return status_of_signal();
  }
  // The run refused to begin; it said why, and its status is that of the reason.
  if (mpirun_status < 9) return static_cast<ExitStatus>(mpirun_status);
  std::cerr << "\ntriga: error: mpirun ended with status " << mpirun_status
            << " before the run had begun; the reason is above\n";
  if (start.num_hosts > 1 && !start.has_hosts) std::cerr << kHostsAnswer;  // named ones are asked
  return ExitStatus::kCommunication;
}

/// Starts the ranks and waits for their end.
LauncherEnd start_once(const Start& start, RunFolder& folder, OomKills& oom_kills) {
  RunSigns run;
  // Or was told to, at once.
  run.has_ended = [&] { return is_to_end_at_once() || folder.tells_an_end(); };
  // As the rank itself is, where no mpirun starts it.
  run.is_alive = [&] { return !start.is_mpirun || folder.is_held(); };
  run.count = [&](size_t num_processes) { oom_kills.sample_beside(num_processes); };
  return run_and_wait(start, run);
}

/// On which a start ended; "": nobody knows. Of ranks that only lost each other, those that reported
/// may be the last to hear of it, and have seen how mpirun ended a neighbour: it knows who was first.
/// `status`: of this start, where there is one.
std::string host_of_end(const std::optional<RunStatus>& status, const LauncherEnd& launcher) {
  if (launcher.killed && (!status || !has_own_end(*status))) return launcher.killed->host;
  return status ? status->host : "";
}

/// One start, with what decides on another one.
StartEnd start_and_judge(const Start& start, RunFolder& folder, HostPool& pool) {
  folder.expect_start();
  OomKills oom_kills;
  const LauncherEnd launcher = start_once(start, folder, oom_kills);
  const std::optional<bool> has_begun = folder.has_begun();
  StartEnd end;
  end.has_begun = has_begun.value_or(true);
  try {
    if (!has_begun)
      end.status = outcome_unread(launcher.status, folder);
    else if (*has_begun)
      end.status = outcome_of(folder, launcher, oom_kills);
    else
      end.status = outcome_before(launcher.status, start);
  } catch (const CommError& error) {
    std::cerr << "triga: error: " << error.what() << "\n";
    end.status = error.status();
  }
  const auto status = end.has_begun ? folder.status() : std::nullopt;
  end.leaves_host_out = pool.ended_on(host_of_end(status, launcher));
  return end;
}

/// Of the last start. mpirun's own status is 1 where it can start nothing on a host, and so is that
/// of a rank that fails before the run begins: the hosts tell, when they are asked.
ExitStatus last_status(const StartEnd& end, const Places& places, HostPool& pool) {
  const bool can_be_of_mpirun = !end.has_begun && (end.status == ExitStatus::kInternal ||
                                                   end.status == ExitStatus::kCommunication);
  if (!can_be_of_mpirun || places.hosts.empty() || requests.number() > 0) return end.status;
  const std::vector<std::string> silent = pool.silent(places.hosts);
  if (silent.empty() || requests.number() > 0) return end.status;
  std::cerr << "\ntriga: error: the run did not begin, since mpirun can start nothing on "
            << c10::Join(", ", silent) << "; the reason is above\n"
            << kHostsAnswer;
  return ExitStatus::kCommunication;
}

/// Hosts for another start. False: too few are left for the run, or a signal came meanwhile.
bool choose_anew(HostPool& pool, const LoadedExperiment& loaded, const Places& wanted,
                 Places& places) {
  const Places left = places_on(pool.usable(), wanted);
  if (requests.number() > 0) return false;
  std::string problem = left.num_ranks == 0 ? "none" : "";
  try {
    if (problem.empty()) loaded.check_grid(left.num_ranks);
  } catch (const ConfigError& error) {
    problem = error.what();
  }
  if (!problem.empty()) {
    std::cerr << "triga: not started again, too few hosts are left: " << problem << "\n";
    return false;
  }
  if (left.hosts != places.hosts)
    std::cerr << "triga: " << left.num_ranks << (left.num_ranks == 1 ? " rank on " : " ranks on ")
              << c10::Join(", ", names_of(left.hosts)) << "\n";
  places = left;
  return true;
}

/// Where it is not started as a rank of a run. Throws: ConfigError.
CommandEnvironment environment_outside(CommandEnvironment environment) {
  const std::string problem = rank_problem(environment.placement, "triga launch");
  if (!problem.empty()) throw ConfigError(problem);
  forget_step();  // of a shell (srun --pty, salloc): mpirun's ranks are none of its
  if (environment.placement.is_shell()) environment.placement = Placement();
  return environment;
}

ExitStatus launch(const CommandEnvironment& given, const LaunchArguments& arguments) {
  const CommandEnvironment environment = environment_outside(given);
  ::setenv(kStartCommandVariable, command_to_go_on(environment.words).c_str(), /*overwrite=*/1);
  const LoadedExperiment loaded(environment, arguments.experiment,
                                LoadedExperiment::Purpose::kLook);
  const LaunchConfig& config = loaded.experiment().launch;
  PlacesRequest request = arguments.places;
  request.hosts = arguments.host_file.empty() ? parse_hosts(arguments.hosts)
                                              : read_host_file(posix_files(), arguments.host_file);
  const Places wanted = choose_places(request, environment.allocation, config);
  loaded.check_grid(wanted.num_ranks);
  if (wanted.allocation)
    std::cerr << "triga: in " << describe(*wanted.allocation) << ": " << wanted.num_ranks
              << (wanted.num_ranks == 1 ? " rank" : " ranks") << " on " << wanted.num_hosts
              << (wanted.num_hosts == 1 ? " host\n" : " hosts\n");
  const bool is_mpirun = needs_mpirun(arguments, config, wanted);
  if (!is_mpirun && config.max_restarts == 0 && config.environment.empty())
    return train(environment, arguments.experiment);
  const RunDirectory directory{loaded.run_directory()};
  Restarts restarts(
      posix_files(), directory,
      {.limit = config.max_restarts, .begins_anew = arguments.experiment.fresh},
      [] { return requests.number() > 0; }, std::cerr);
  Places places = wanted;
  HostPool pool(
      request.hosts,
      [&](const std::vector<std::string>& hosts) {
        return ask_hosts(hosts, mpirun_words(environment, arguments, config),
                         [] { return requests.number() > 0; });
      },
      std::cerr);
  RunFolder folder(posix_files(), directory, is_to_end_at_once);
  LaunchArguments of_start = arguments;
  while (true) {
    const StartEnd end = start_and_judge({command_line(environment, of_start, config, places),
                                          is_mpirun, !places.hosts.empty(), places.num_hosts},
                                         folder, pool);
    if (!restarts.again(end)) return last_status(end, places, pool);
    if (!wanted.hosts.empty() && !choose_anew(pool, loaded, wanted, places)) return end.status;
    of_start.experiment.fresh = false;  // --resume stays: the run goes on where it had begun
  }
}

}  // namespace

void add_launch(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<LaunchArguments>();
  CLI::App* sub = app.add_subcommand(
      "launch",
      "Start all ranks of an experiment, here or on the hosts of a job or of --hosts (mpirun), and "
      "wait.");
  arguments->experiment.add_to(*sub);
  arguments->experiment.add_site_to(*sub);
  sub->add_option("-n,--ranks", arguments->places.num_ranks,
                  "Number of ranks. Default: launch.ranks_per_node on each host");
  sub->add_option(
         "-N,--nodes", arguments->places.num_hosts,
         "Number of hosts. Default: those of --hosts, or all of the job that this runs in; "
         "outside of one launch.nodes, or 1 with -n")
      ->check(CLI::Range(1, 100000));
  CLI::Option* hosts =
      sub->add_option("--hosts", arguments->hosts,
                      "Hosts to run on, by ssh: --hosts a,b; with a number of ranks each: a:2,b:2")
          ->delimiter(',')
          ->allow_extra_args(false)
          ->take_all()
          ->type_name("HOST[:N]");
  sub->add_option("--hostfile", arguments->host_file,
                  "The same from a file, a line each: HOST, or HOST slots=N")
      ->type_name("FILE")
      ->check([](const std::string& file) {
        return file.empty() ? std::string("'' is no file") : std::string();
      })
      ->excludes(hosts);
  sub->add_option("--mpirun", arguments->mpirun_arguments,
                  "Further arguments for mpirun, each with its own --mpirun")
      ->allow_extra_args(false)
      ->expected(1)
      ->take_all();
  sub->footer(
      "\nExamples:\n  triga launch experiments/quickstart.yaml -n 2\n"
      "  triga launch a.yaml --set train.max_steps=50 --run-dir runs/short\n"
      "  triga launch a.yaml --hosts node1,node2 -n 16\n"
      "  triga launch a.yaml --hosts node1:8,node2:4\n"
      "  salloc -N 2 triga launch a.yaml\n\n"
      "Ctrl-C saves and stops (exit 75); the same command goes on. A second Ctrl-C stops at once, "
      "unsaved\n(exit 130: 128 and the number of the signal).");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return launch(command.environment, *arguments); };
  });
}

}  // namespace triga
