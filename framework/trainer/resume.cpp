#include "trainer/resume.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/absolute_path.h"
#include "checkpoint/reader.h"
#include "config/kind_sections.h"
#include "config/resume_difference.h"
#include "metrics/run_status.h"
#include "trainer/lease.h"

namespace triga {
namespace {

using Json = nlohmann::json;

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

/// The path of a checkpoint that is asked for, as it is written into the run's folder.
std::string origin_of(const StartRequest& request) {
  if (request.resume == "auto") return "";
  return without_slash_at_end(absolute_path(request.resume)).string();
}

/// "": the run there began from no other.
std::string read_origin(FileSystem& files, const RunDirectory& directory) {
  return exists(files, directory.origin()) ? read_text(files, directory.origin()) : "";
}

[[noreturn]] void refuse(const RunDirectory& directory,
                         const std::vector<ConfigDifference>& differences) {
  std::vector<std::string> lines;
  bool keeps_state = true;  // other parameters and another optimizer have another one
  for (const ConfigDifference& difference : differences) {
    for (const char* key : {"model", "optimizer.kind", "optimizer.groups", "train.ema_decay"})
      keeps_state = keeps_state && !difference.path.starts_with(key);
    lines.push_back(
        fmt::format("{}: {} before, {} now", difference.path, difference.before, difference.now));
  }
  throw ConfigError(fmt::format(
      "{}: holds a run of another experiment; these keys differ:\n  {}\n  To keep "
      "both: --run-dir ANOTHER_DIR. To start "
      "from its {} with the new values: --run-dir ANOTHER_DIR {}"
      "{}/checkpoints/latest. To start anew here: "
      "--fresh, which moves the old run aside.",
      directory.root.string(), fmt::join(lines, "\n  "), keeps_state ? "state" : "weights",
      keeps_state ? "--resume " : "--set model.init.from=", directory.root.string()));
}

/// A new run would write over them. Its own first one, from `origin`, is not meant.
void refuse_orphans(FileSystem& files, const RunDirectory& directory, const std::string& origin) {
  const auto checkpoints = checkpoints_of_run(files, directory.root);
  const bool has_checkpoints = checkpoints && !checkpoints->empty();
  if (!has_checkpoints && !exists(files, directory.metrics())) return;
  if (!origin.empty() && origin == read_origin(files, directory)) return;
  throw ConfigError(fmt::format(
      "{0}: holds {1}, but no resolved.yaml that says of which experiment.\n  To go on elsewhere "
      "from the newest checkpoint: --run-dir ANOTHER_DIR --resume {0}/checkpoints/latest. To start "
      "anew here: --fresh, which moves what is there aside.",
      directory.root.string(), has_checkpoints ? "checkpoints" : "metrics.jsonl"));
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

/// Of a path, which may be no UTF-8 and hold anything.
std::vector<unsigned char> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

/// What an earlier start decided once and for all.
void keep_choices(const ConfigNode& resolved, StartDecision& decision) {
  decision.decay_steps = decay_steps(resolved);
  decision.bucket_bytes = bucket_bytes(resolved);
  decision.partition = partition_cuts(resolved);
}

/// Nothing: another program made it.
std::optional<ConfigNode> experiment_of_checkpoint(FileSystem& files, const Path& checkpoint) {
  const Path file = checkpoint / kResolvedPath;
  if (!exists(files, file)) return std::nullopt;
  return read_resolved(read_text(files, file), file.string());
}

/// From a checkpoint of another run; from the copy of it, where an earlier start came as far.
void begin_from(FileSystem& files, const RunDirectory& directory, const std::string& origin,
                StartDecision& decision) {
  const CheckpointSearch own = find_checkpoint(files, directory.root);
  decision.notes.insert(decision.notes.end(), own.passed_over.begin(), own.passed_over.end());
  decision.kind = StartDecision::Kind::kResume;
  decision.checkpoint = own.directory;
  if (!decision.checkpoint) {
    const ChosenCheckpoint chosen = choose_checkpoint(files, origin);
    for (const std::string& sentence : chosen.passed_over) decision.notes.push_back(sentence);
    decision.checkpoint = chosen.directory;
    decision.origin = origin;
  }
  if (const auto told = experiment_of_checkpoint(files, *decision.checkpoint))
    keep_choices(*told, decision);
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
  const bool has_begun = !request.fresh && is_there && exists(files, directory.resolved());
  if (has_begun && !asks_to_go_on(files, request)) {
    const std::string origin = read_origin(files, directory);
    throw ConfigError(fmt::format(
        "{}: holds a run already{}, so --resume PATH cannot start there.\n  Choose another "
        "directory (--run-dir DIR), or go on with the run that is there by leaving --resume out.",
        directory.root.string(), origin.empty() ? "" : ", begun from " + origin));
  }
  if (!has_begun) {
    if (request.fresh && request.resume == "auto") return decision;
    const std::string origin =
        request.resume == "auto" ? read_origin(files, directory) : origin_of(request);
    refuse_orphans(files, directory, origin);
    if (!origin.empty()) begin_from(files, directory, origin, decision);
    return decision;
  }

  const ConfigNode old = experiment_of_run(files, directory, resolved);
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
    if (const std::string origin = read_origin(files, directory); !origin.empty())
      begin_from(files, directory, origin, decision);
    keep_choices(old, decision);
    return decision;  // it ended before its first checkpoint
  }
  keep_choices(old, decision);
  decision.kind = StartDecision::Kind::kResume;
  decision.checkpoint = search.directory;
  return decision;
}

std::string to_text(const StartDecision& decision) {
  Json json = {{"kind", static_cast<int>(decision.kind)},
               {"checkpoint", nullptr},
               {"origin", bytes_of(decision.origin)},
               {"decay_steps", nullptr},
               {"bucket_bytes", nullptr},
               {"partition", nullptr}};
  if (decision.checkpoint) json["checkpoint"] = bytes_of(decision.checkpoint->string());
  if (decision.decay_steps) json["decay_steps"] = *decision.decay_steps;
  if (decision.bucket_bytes) json["bucket_bytes"] = *decision.bucket_bytes;
  if (decision.partition) json["partition"] = *decision.partition;
  return json.dump();
}

StartDecision start_decision_from_text(const std::string& text) {
  const Json json = Json::parse(text);
  const auto text_of = [&](const char* key) {
    const auto bytes = json.at(key).get<std::vector<unsigned char>>();
    return std::string(bytes.begin(), bytes.end());
  };
  StartDecision decision;
  decision.kind = static_cast<StartDecision::Kind>(json.at("kind").get<int>());
  decision.origin = text_of("origin");
  if (!json.at("checkpoint").is_null()) decision.checkpoint = text_of("checkpoint");
  if (const Json& steps = json.at("decay_steps"); !steps.is_null()) decision.decay_steps = steps;
  if (const Json& bytes = json.at("bucket_bytes"); !bytes.is_null()) decision.bucket_bytes = bytes;
  if (const Json& cuts = json.at("partition"); !cuts.is_null())
    decision.partition = cuts.get<std::vector<int64_t>>();
  return decision;
}

bool is_evaluated_alike(FileSystem& files, const Path& checkpoint, const ConfigNode& resolved,
                        const TrainingState& state,
                        const std::map<std::string, std::string>& fingerprints) {
  const auto then = state.data.find("validation"), now = fingerprints.find("validation");
  if (then == state.data.end() || now == fingerprints.end() || then->second != now->second)
    return false;
  const auto told = experiment_of_checkpoint(files, checkpoint);
  if (!told) return false;
  for (const ConfigDifference& difference : differences_for_resume(*told, resolved))
    if (difference.path.starts_with("eval.metrics")) return false;
  return true;
}

bool asks_to_go_on(FileSystem& files, const StartRequest& request) {
  const std::string origin = origin_of(request);
  return !request.fresh && (origin.empty() || origin == read_origin(files, request.directory));
}

bool goes_on(FileSystem& files, const StartRequest& request, const ConfigNode& resolved) {
  return !request.fresh && exists(files, request.directory.resolved()) &&
         asks_to_go_on(files, request) && !is_finished_run(files, request.directory, resolved);
}

bool is_finished_run(FileSystem& files, const RunDirectory& directory, const ConfigNode& resolved) {
  if (!exists(files, directory.resolved())) return false;
  const ConfigNode old = experiment_of_run(files, directory, resolved);
  return is_finished(files, directory, old, resolved);
}

}  // namespace triga
