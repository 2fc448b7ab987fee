// triga status: how a run is doing, from what its ranks write into its folder: from any host that
// sees it, without a word to the run.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/layout.h"
#include "checkpoint/manifest.h"
#include "checkpoint/reader.h"
#include "launchers/command.h"
#include "metrics/run_status.h"
#include "trainer/lease.h"
#include "trainer/rank_record.h"
#include "trainer/run_directory.h"

namespace triga {
namespace {

struct StatusArguments {
  std::string run;
  bool as_json = false;
};

struct SavedStep {
  int64_t step = 0;
  double age_seconds = 0;
};

/// How a run is, as one looks at its folder.
struct State {
  std::string word;  // not_started, running, lost, finished, stopped, failed
  std::optional<RunStatus> status;
  std::optional<LeaseHolder> holder;
  std::vector<RankRecord> records;  // of a run that is running or lost
  std::optional<SavedStep> newest_checkpoint;
};

const char* word_of(RunStatus::State state) {
  switch (state) {
    case RunStatus::State::kRunning:
      return "running";
    case RunStatus::State::kFinished:
      return "finished";
    case RunStatus::State::kStopped:
      return "stopped";
    case RunStatus::State::kFailed:
      return "failed";
  }
  return "running";
}

/// A checkpoint has its name when it is whole, and its manifest is the last that is written into it.
std::optional<SavedStep> newest_checkpoint(const RunDirectory& directory) {
  const auto now = std::filesystem::file_time_type::clock::now();
  const auto checkpoints = checkpoints_of_run(posix_files(), directory.root);
  for (const Path& checkpoint : checkpoints.value_or(std::vector<Path>{})) {
    const auto step = step_of(checkpoint.stem().string());  // without kReplacedSuffix
    std::error_code error;
    const auto written = std::filesystem::last_write_time(checkpoint / kManifestPath, error);
    if (error || !step) continue;  // the run removed it meanwhile
    const std::chrono::duration<double> age = now - written;
    return SavedStep{*step, std::max(0.0, age.count())};
  }
  return std::nullopt;
}

State look_at(const RunDirectory& directory) {
  FileSystem& files = posix_files();
  State state;
  state.status = read_run_status(files, directory.status());
  LeaseTiming at_once;  // one that was killed a moment ago is shown as running
  at_once.dying = std::chrono::milliseconds(0);
  state.holder = lease_holder(files, directory.lease(), at_once);
  const bool is_alive = state.holder && state.holder->is_alive;
  state.word = !state.status ? "not_started" : word_of(state.status->state);
  if (is_alive)
    state.word = "running";  // maybe one that has just begun
  else if (state.word == "running")
    state.word = "lost";
  if (state.word == "running" || state.word == "lost")
    state.records = read_rank_records(files, directory);
  state.newest_checkpoint = newest_checkpoint(directory);
  return state;
}

/// Nothing: rank 0 says nothing of itself.
std::optional<int64_t> num_failed_saves(const State& state) {
  if (state.records.empty() || state.records.front().rank != 0) return std::nullopt;
  return state.records.front().num_failed_saves;
}

int64_t reached_step(const State& state) {
  int64_t step = state.status ? state.status->step : 0;
  for (const RankRecord& record : state.records) step = std::max(step, record.step);
  return step;
}

void print_json(const State& state) {
  nlohmann::ordered_json json = {{"state", state.word},
                                 {"cause", state.status ? state.status->cause : ""},
                                 {"step", reached_step(state)},
                                 {"exit_status", nullptr},
                                 {"newest_checkpoint", nullptr},
                                 {"failed_saves", nullptr},
                                 {"ranks", nlohmann::ordered_json::array()}};
  if (state.status && state.status->exit_status) json["exit_status"] = *state.status->exit_status;
  if (const auto& newest = state.newest_checkpoint)
    json["newest_checkpoint"] = {{"step", newest->step}, {"age_seconds", newest->age_seconds}};
  if (const auto num_failed = num_failed_saves(state)) json["failed_saves"] = *num_failed;
  const std::vector<bool> is_behind = who_is_behind(state.records);
  const double now = seconds_since_1970();
  const auto number_or_null = [](int number) {
    return number < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(number);
  };
  for (size_t i = 0; i < state.records.size(); ++i) {
    const RankRecord& record = state.records[i];
    json["ranks"].push_back({{"rank", record.rank},
                             {"host", record.host},
                             {"pid", record.pid},
                             {"step", record.step},
                             {"stage", number_or_null(record.stage)},
                             {"microbatch", number_or_null(record.microbatch)},
                             {"what", record.what},
                             {"since_seconds", still_seconds(record, now)},
                             {"is_waiting", record.is_waiting},
                             {"is_behind", is_behind[i]},
                             {"silent_seconds", silent_seconds(record, now)}});
  }
  std::cout << json.dump(2) << "\n";
}

void print_table(const State& state) {
  const std::vector<bool> is_behind = who_is_behind(state.records);
  const double now = seconds_since_1970();
  size_t host_width = 4;
  for (const RankRecord& record : state.records)
    host_width = std::max(host_width, record.host.size());
  std::cout << fmt::format("{:>5}  {:<{}}  {:>8}  {:>8}  {:>10}  {:>8}  what\n", "rank", "host",
                           host_width, "pid", "step", "microbatch", "since");
  for (size_t i = 0; i < state.records.size(); ++i) {
    const RankRecord& record = state.records[i];
    const double silent = silent_seconds(record, now);
    std::cout << fmt::format(
        "{:>5}  {:<{}}  {:>8}  {:>8}  {:>10}  {:>6.1f} s  {}{}{}\n", record.rank, record.host,
        host_width, record.pid, record.step,
        record.microbatch < 0 ? "-" : std::to_string(record.microbatch), still_seconds(record, now),
        record.what, is_behind[i] ? "  <- behind" : "",
        silent > 0 ? fmt::format("  <- no sign of life for {:.0f} s", silent) : "");
  }
  if (!state.records.empty() &&
      state.records.size() < static_cast<size_t>(state.records[0].world_size))
    std::cout << fmt::format("{} of {} ranks say nothing of themselves\n",
                             state.records[0].world_size - static_cast<int>(state.records.size()),
                             state.records[0].world_size);
}

/// "40 s", "12 min", "5 h", "3 days".
std::string roughly(double seconds) {
  constexpr double kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
  if (seconds < 2 * kMinute) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{:.0f} min", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{:.0f} h", seconds / kHour);
  return fmt::format("{:.0f} days", seconds / kDay);
}

void print_saves(const State& state, const RunDirectory& directory) {
  if (const auto& newest = state.newest_checkpoint)
    std::cout << fmt::format("newest checkpoint: step {} (saved {} ago)\n", newest->step,
                             roughly(newest->age_seconds));
  else
    std::cout << "newest checkpoint: none\n";
  if (const int64_t num_failed = num_failed_saves(state).value_or(0); num_failed > 0)
    std::cout << fmt::format("{} save{} failed since this start or its last rollback; see {}\n",
                             num_failed, num_failed == 1 ? "" : "s",
                             (directory.logs() / "rank-0.log").string());
}

void print_words(const State& state, const RunDirectory& directory) {
  const std::string run = directory.root.string();
  const std::string cause =
      state.status && !state.status->cause.empty() ? ": " + state.status->cause : "";
  if (state.word == "not_started") {
    std::cout << run << ": no run has begun here\n";
  } else if (state.word == "running") {
    std::cout << fmt::format("{}: running, step {} (rank 0: process {} on {})\n", run,
                             reached_step(state), state.holder->pid, state.holder->host);
    print_table(state);
    print_saves(state, directory);
  } else if (state.word == "lost") {
    std::cout << fmt::format(
        "{}: ended without a word{}; the same command goes on from the newest checkpoint. Where "
        "its "
        "ranks were last:\n",
        run,
        state.holder
            ? fmt::format(" (rank 0: process {} on {})", state.holder->pid, state.holder->host)
            : "");
    print_table(state);
    print_saves(state, directory);
  } else {
    std::cout << fmt::format("{}: {} at step {}{}\n", run, state.word, reached_step(state), cause);
    print_saves(state, directory);
    if (state.word == "failed" && exists(posix_files(), directory.failure()))
      std::cout << read_text(posix_files(), directory.failure());
  }
}

ExitStatus status(const StatusArguments& arguments) {
  const RunDirectory directory{arguments.run};
  if (!std::filesystem::is_directory(directory.root))
    throw ConfigError(arguments.run +
                      ": no such folder; the argument is a run's folder, such as runs/NAME");
  const State state = look_at(directory);
  if (arguments.as_json)
    print_json(state);
  else
    print_words(state, directory);
  return ExitStatus::kDone;
}

}  // namespace

void add_status(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<StatusArguments>();
  CLI::App* sub =
      app.add_subcommand("status",
                         "How a run is doing: where each of its ranks is, who is behind, which "
                         "step was saved last; or how it ended.");
  sub->add_option("run", arguments->run, "The run's folder")->required();
  sub->add_flag("--json", arguments->as_json, "One JSON object");
  sub->footer(
      "\nExamples:\n  triga status runs/quickstart\n  watch triga status runs/quickstart\n\n"
      "States: not_started; running; lost (its processes are gone and said nothing); finished; "
      "stopped (saved, on a\nsignal); failed. 'since' is how long a rank has been at what it does. "
      "Ranks are behind that stand still at an\nearlier step than others, or do something while "
      "others have waited for more than 2 seconds.");
  sub->callback(
      [&command, arguments] { command.run = [arguments] { return status(*arguments); }; });
}

}  // namespace triga
