#include "trainer/resume.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "checkpoint/reader.h"
#include "config/kind_sections.h"
#include "config/resume_difference.h"
#include "metrics/run_status.h"
#include "trainer/lease.h"

namespace triga {
namespace {

/// Beside the old place, named by the time of the move; never an existing name.
Path move_aside(FileSystem& files, const Path& root) {
  const std::time_t now = std::time(nullptr);
  for (int i = 0;; ++i) {
    const std::string stamp = fmt::format("{}.{:%Y%m%d-%H%M%S}{}", root.string(),
                                          fmt::localtime(now), i == 0 ? "" : fmt::format("-{}", i));
    if (exists(files, stamp)) continue;
    files.rename(root, stamp);
    files.sync_directory(root.parent_path().empty() ? Path(".") : root.parent_path());
    return stamp;
  }
}

bool is_empty_directory(FileSystem& files, const Path& root) {
  for (const std::string& name : files.list(root))
    if (!name.starts_with('.') && name != "log" && name != "lease.json") return false;
  return true;
}

[[noreturn]] void refuse(const RunDirectory& directory,
                         const std::vector<ConfigDifference>& differences) {
  std::vector<std::string> lines;
  for (const ConfigDifference& difference : differences)
    lines.push_back(
        fmt::format("{}: {} before, {} now", difference.path, difference.before, difference.now));
  throw ConfigError(
      fmt::format("{}: holds a run of another experiment; these keys differ:\n  {}\n  To keep "
                  "both: --run-dir ANOTHER_DIR. To start "
                  "from its state with the new values: --run-dir ANOTHER_DIR --resume "
                  "{}/checkpoints/latest. To start anew here: "
                  "--fresh, which moves the old run aside.",
                  directory.root.string(), fmt::join(lines, "\n  "), directory.root.string()));
}

/// What the run that is there was told. Throws: ConfigError when `resolved` is another experiment.
ConfigNode experiment_of_run(FileSystem& files, const RunDirectory& directory,
                             const ConfigNode& resolved) {
  ConfigNode old =
      read_resolved(read_text(files, directory.resolved()), directory.resolved().string());
  const std::vector<ConfigDifference> differences = differences_for_resume(old, resolved);
  if (!differences.empty()) refuse(directory, differences);
  return old;
}

/// What an earlier start decided once and for all.
void keep_choices(const ConfigNode& resolved, StartDecision& decision) {
  decision.decay_steps = decay_steps(resolved);
  decision.bucket_bytes = bucket_bytes(resolved);
  decision.partition = partition_cuts(resolved);
}

/// It ended regularly, and no limit was raised since.
bool is_finished(FileSystem& files, const RunDirectory& directory, const ConfigNode& old,
                 const ConfigNode& now) {
  const std::optional<RunStatus> status = read_run_status(files, directory.status());
  if (!status || status->state != RunStatus::State::kFinished) return false;
  const auto limits = [](const ConfigNode& experiment) {
    std::string text;
    for (const char* key : {"train.max_steps", "train.max_epochs", "train.max_minutes"})
      if (const ConfigNode* limit = find_path(experiment, key)) text += limit->scalar + " ";
    return text;
  };
  return limits(old) == limits(now);
}

}  // namespace

StartDecision decide_start(FileSystem& files, const StartRequest& request,
                           const ConfigNode& resolved) {
  StartDecision decision;
  const RunDirectory& directory = request.directory;
  const bool is_there = exists(files, directory.root) && !is_empty_directory(files, directory.root);
  if (request.fresh && is_there) {
    const auto unused = hold_unused(files, directory.lease());
    decision.notes.push_back("the old run was moved to " +
                             move_aside(files, directory.root).string());
  }
  if (request.resume != "auto") {
    if (is_there && exists(files, directory.resolved()))
      throw ConfigError(
          fmt::format("{}: holds a run already, so --resume PATH cannot start there.\n  Choose "
                      "another directory (--run-dir DIR), or "
                      "go on with the run that is there by leaving --resume out.",
                      directory.root.string()));
    const ChosenCheckpoint chosen = choose_checkpoint(files, request.resume);
    for (const std::string& sentence : chosen.passed_over) decision.notes.push_back(sentence);
    decision.kind = StartDecision::Kind::kResume;
    decision.checkpoint = chosen.directory;
    const Path file = chosen.directory / "training" / "resolved.yaml";
    if (exists(files, file))
      keep_choices(read_resolved(read_text(files, file), file.string()), decision);
    return decision;
  }
  if (request.fresh || !is_there || !exists(files, directory.resolved())) return decision;

  const ConfigNode old = experiment_of_run(files, directory, resolved);
  keep_choices(old, decision);
  const CheckpointSearch search = find_checkpoint(files, directory.root);
  // A run whose last checkpoint was damaged since is not finished: it goes on from an older one.
  if (is_finished(files, directory, old, resolved) && search.passed_over.empty()) {
    decision.kind = StartDecision::Kind::kFinished;
    return decision;
  }
  decision.notes.insert(decision.notes.end(), search.passed_over.begin(), search.passed_over.end());
  if (!search.directory) {
    if (!search.passed_over.empty())
      throw CheckpointError(fmt::format(
          "{}: no checkpoint is whole:\n  {}\n  Start anew with --fresh, or from another "
          "run's checkpoint with --run-dir DIR --resume PATH.",
          directory.checkpoints().string(), fmt::join(search.passed_over, "\n  ")));
    return decision;  // it ended before its first checkpoint
  }
  decision.kind = StartDecision::Kind::kResume;
  decision.checkpoint = search.directory;
  return decision;
}

std::string to_text(const StartDecision& decision) {
  const auto number = [](std::optional<int64_t> value) {
    return value ? std::to_string(*value) : std::string();
  };
  return fmt::format(
      "{}\n{}\n{}\n{}\n{}\n", static_cast<int>(decision.kind),
      decision.checkpoint ? decision.checkpoint->string() : "", number(decision.decay_steps),
      number(decision.bucket_bytes),
      decision.partition ? fmt::format("cuts {}", fmt::join(*decision.partition, " ")) : "");
}

StartDecision start_decision_from_text(const std::string& text) {
  std::istringstream lines(text);
  std::string kind, checkpoint, decay_steps, bucket_bytes, partition;
  std::getline(lines, kind);
  std::getline(lines, checkpoint);
  std::getline(lines, decay_steps);
  std::getline(lines, bucket_bytes);
  std::getline(lines, partition);
  StartDecision decision;
  decision.kind = static_cast<StartDecision::Kind>(std::stoi(kind));
  if (!checkpoint.empty()) decision.checkpoint = checkpoint;
  if (!decay_steps.empty()) decision.decay_steps = std::stoll(decay_steps);
  if (!bucket_bytes.empty()) decision.bucket_bytes = std::stoll(bucket_bytes);
  if (!partition.empty()) {
    decision.partition.emplace();
    std::istringstream cuts(partition.substr(partition.find(' ')));
    for (int64_t cut; cuts >> cut;) decision.partition->push_back(cut);
  }
  return decision;
}

bool goes_on(FileSystem& files, const StartRequest& request, const ConfigNode& resolved) {
  return !request.fresh && request.resume == "auto" &&
         exists(files, request.directory.resolved()) &&
         !is_finished_run(files, request.directory, resolved);
}

bool is_finished_run(FileSystem& files, const RunDirectory& directory, const ConfigNode& resolved) {
  if (!exists(files, directory.resolved())) return false;
  const ConfigNode old = experiment_of_run(files, directory, resolved);
  return is_finished(files, directory, old, resolved);
}

}  // namespace triga
