// Finding, verifying and reading checkpoints. Nothing here writes; a run may save while another
// process reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/tensor_files.h"

namespace triga {

/// A checkpoint open for reading: its manifest and state are read, its tensors when they are asked
/// for. Does not verify checksums (find_checkpoint does). Thread-safe. Throws: CheckpointError.
class Checkpoint {
 public:
  Checkpoint(FileSystem& files, Path directory);

  const Path& directory() const { return directory_; }
  const Manifest& manifest() const { return manifest_; }
  const TrainingState& state() const { return state_; }

  std::string text(
      const std::string& path) const;  // of a file: "training/resolved.yaml", "config.json"
  TensorFiles weights(const ComponentFiles& component) const;
  bool has_training(const std::string& stem) const;
  TensorFiles training(const std::string& stem) const;  // "optimizer"

 private:
  FileSystem* files_;
  Path directory_;
  Manifest manifest_;
  TrainingState state_;
};

/// Compares every file with the manifest. Returns what is wrong, a sentence each; empty: it is
/// whole.
std::vector<std::string> verify_checkpoint(FileSystem& files, const Path& directory,
                                           int num_threads = 2);

/// The same, of the manifest and the files' sizes only.
std::vector<std::string> verify_sizes(FileSystem& files, const Path& directory);

struct CheckpointSearch {
  std::optional<Path> directory;  // the newest that verifies
  std::vector<std::string>
      passed_over;  // "step-00000040 is passed over: model.safetensors: ...", newest first
};

/// In `run_dir`/checkpoints. Reads every byte of the newest, and of older ones while it finds
/// something wrong. `before`: only those of earlier steps.
CheckpointSearch find_checkpoint(FileSystem& files, const Path& run_dir,
                                 std::optional<int64_t> before = std::nullopt);

/// The directories in `directory`/checkpoints, newest first, whatever their state; those that a
/// save is replacing as well. Nothing: it is no run directory.
std::optional<std::vector<Path>> checkpoints_of_run(FileSystem& files, const Path& directory);

/// The checkpoint that `evaluate` and `generate` use for PATH: itself if it is one (or any model
/// directory); of a run the best, else the latest, each only if it verifies. Throws:
/// CheckpointError that says what was looked at.
struct ChosenCheckpoint {
  Path directory;
  std::string why;  // "best", "latest", "given"
  std::vector<std::string> passed_over;
};
ChosenCheckpoint choose_checkpoint(FileSystem& files, const Path& run_or_checkpoint);

}  // namespace triga
