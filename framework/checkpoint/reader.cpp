#include "checkpoint/reader.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/guard.h"
#include "checkpoint/layout.h"

namespace triga {
namespace {

// A directory that may be a checkpoint of a run.
struct Candidate {
  int64_t step = 0;
  bool is_replaced = false;
  std::string name;
};

std::vector<Candidate> newest_first(FileSystem& files, const Path& checkpoints) {
  std::vector<Candidate> candidates;
  if (files.kind(checkpoints) != FileKind::kDirectory) return candidates;
  for (const auto& name : files.list(checkpoints)) {
    if (const auto step = step_of(name)) candidates.push_back({*step, false, name});
    if (const auto step = step_of(name, kReplacedSuffix)) candidates.push_back({*step, true, name});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(-a.step, a.is_replaced) < std::pair(-b.step, b.is_replaced);
  });
  return candidates;
}

// How often a search starts again because a checkpoint that it looked at was removed meanwhile by
// the run.
constexpr int kMaxSearches = 20;

}  // namespace

Checkpoint::Checkpoint(FileSystem& files, Path directory)
    : files_(&files),
      directory_(std::move(directory)),
      manifest_(read_manifest(files, directory_)) {
  state_ = training_state_from_json(text(kStatePath), (directory_ / kStatePath).string());
  if (state_.step != manifest_.step)
    throw CheckpointError(fmt::format("{}: the state is of step {}, the manifest of step {}",
                                      directory_.string(), state_.step, manifest_.step));
}

std::string Checkpoint::text(const std::string& path) const {
  return as_checkpoint([&] { return read_text(*files_, directory_ / path); });
}

TensorFiles Checkpoint::weights(const ComponentFiles& component) const {
  return TensorFiles(*files_, directory_ / component.folder, component.weights);
}

bool Checkpoint::has_training(const std::string& stem) const {
  return TensorFiles::exist(*files_, directory_ / "training", stem);
}

TensorFiles Checkpoint::training(const std::string& stem) const {
  return TensorFiles(*files_, directory_ / "training", stem);
}

std::vector<std::string> verify_checkpoint(FileSystem& files, const Path& directory,
                                           int num_threads) {
  try {
    if (!exists(files, directory / kManifestPath))
      return {std::string(kManifestPath) + ": the file is missing"};
    return verify_files(files, directory, read_manifest(files, directory).files, num_threads);
  } catch (const CheckpointError& error) {
    return {error.what()};
  } catch (const FileError& error) {
    return {error.what()};
  }
}

std::vector<std::string> verify_sizes(FileSystem& files, const Path& directory) {
  std::vector<std::string> problems;
  try {
    for (const auto& record : read_manifest(files, directory).files)
      if (const auto bytes = files.size(directory / record.path); bytes != record.bytes)
        problems.push_back(fmt::format("{}: {} bytes, but the manifest says {}", record.path, bytes,
                                       record.bytes));
  } catch (const CheckpointError& error) {
    problems.push_back(error.what());
  } catch (const FileError& error) {
    problems.push_back(error.what());
  }
  return problems;
}

CheckpointSearch find_checkpoint(FileSystem& files, const Path& run_dir,
                                 std::optional<int64_t> before) {
  const Path checkpoints = run_dir / kCheckpointsFolder;
  return as_checkpoint([&] {
    CheckpointSearch search;
    for (int i = 0; i < kMaxSearches; ++i) {
      search = {};
      bool has_vanished = false;
      for (const auto& candidate : newest_first(files, checkpoints)) {
        if (before && candidate.step >= *before) continue;
        const Path directory = checkpoints / candidate.name;
        const auto problems = verify_checkpoint(files, directory);
        if (problems.empty()) {
          search.directory = directory;
          return search;
        }
        has_vanished |= !exists(files, directory);
        search.passed_over.push_back(
            fmt::format("{} is passed over: {}", candidate.name, fmt::join(problems, "; ")));
      }
      if (!has_vanished) return search;
    }
    return search;
  });
}

std::optional<std::vector<Path>> checkpoints_of_run(FileSystem& files, const Path& directory) {
  const Path checkpoints = directory / kCheckpointsFolder;
  return as_checkpoint([&]() -> std::optional<std::vector<Path>> {
    if (!exists(files, checkpoints)) return std::nullopt;
    std::vector<Path> found;
    for (const auto& candidate : newest_first(files, checkpoints))
      found.push_back(checkpoints / candidate.name);
    return found;
  });
}

ChosenCheckpoint choose_checkpoint(FileSystem& files, const Path& run_or_checkpoint) {
  return as_checkpoint([&]() -> ChosenCheckpoint {
    const Path checkpoints = run_or_checkpoint / kCheckpointsFolder;
    if (!exists(files, checkpoints)) {
      if (!exists(files, run_or_checkpoint))
        throw CheckpointError(fmt::format("there is no {}", run_or_checkpoint.string()));
      if (!exists(files, run_or_checkpoint / kManifestPath))
        return {run_or_checkpoint, "given", {}};
      if (const auto problems = verify_checkpoint(files, run_or_checkpoint); !problems.empty())
        throw CheckpointError(fmt::format("{} is damaged: {}", run_or_checkpoint.string(),
                                          fmt::join(problems, "; ")));
      return {run_or_checkpoint, "given", {}};
    }
    std::vector<std::string> passed_over;
    if (files.kind(checkpoints / kBestLink) == FileKind::kLink) {
      const std::string name = files.read_link(checkpoints / kBestLink);
      const auto problems = verify_checkpoint(files, checkpoints / name);
      if (problems.empty()) return {checkpoints / name, "best", {}};
      passed_over.push_back(
          fmt::format("the best, {}, is passed over: {}", name, fmt::join(problems, "; ")));
    }
    auto search = find_checkpoint(files, run_or_checkpoint);
    passed_over.insert(passed_over.end(), search.passed_over.begin(), search.passed_over.end());
    if (!search.directory)
      throw CheckpointError(fmt::format("{} holds no usable checkpoint{}{}", checkpoints.string(),
                                        passed_over.empty() ? "" : ":\n  ",
                                        fmt::join(passed_over, "\n  ")));
    return {*search.directory, "latest", std::move(passed_over)};
  });
}

}  // namespace triga
