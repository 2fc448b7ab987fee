// Snapshot: everything that a checkpoint holds, in memory: the trainer fills it, the writer writes
// it. parts_of() turns it into the list of files of a checkpoint directory
// (docs/checkpoint_format.md), each written by the rank that has its content.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "comm/communicator.h"
#include "triga/architecture.h"

namespace triga {

/// Where a run is: training/state.json.
struct TrainingState {
  int64_t step = 0;      // updates tried, the skipped ones included
  int64_t epoch = 0;     // passes over the data begun and ended before this one
  int64_t position = 0;  // samples used in this epoch, by all ranks together
  int64_t samples = 0;   // used since the start
  int64_t tokens = 0;    // used since the start; 0 where samples are not sequences
  int64_t skipped_steps = 0;
  int64_t skipped_in_a_row = 0;
  double train_seconds = 0;          // for train.max_minutes, over all starts
  std::optional<double> best_value;  // the lowest validation/loss, for early stopping
  int64_t best_step = 0;
  int64_t evaluated_step = 0;                   // of the last evaluation
  int64_t evaluations_without_improvement = 0;  // for eval.patience
  std::map<std::string, std::string> data;      // Dataset::fingerprint() by split
  // With train.spikes:
  std::vector<double> losses;     // the newest of steps that were no spikes, at most its window
  int64_t spikes_in_a_row = 0;    // up to now
  int64_t first_spike_step = 0;   // of those
  int64_t rollbacks = 0;          // since the start
  int64_t left_out_steps = 0;     // steps of data that were not trained on, or whose updates a
                                  // rollback undid, since the start
  int64_t good_steps = 0;         // that trained and were no spikes, since the last rollback
  int64_t settled_rollbacks = 0;  // those of `rollbacks` that a window of good steps followed

  bool operator==(const TrainingState&) const = default;
};

std::string to_json(const TrainingState& state);
/// `where`: the file, for messages. Throws: CheckpointError.
TrainingState training_state_from_json(const std::string& text, const std::string& where);

/// What produced a checkpoint, by name: "triga", "libtorch", "cpu", "gpu", "plugin transformer".
using Environment = std::map<std::string, std::string>;

/// What one rank gives to a checkpoint. Rank 0's has everything but tensors; tensors may be on any
/// rank, each on one.
struct Snapshot {
  TrainingState state;
  Environment environment;
  std::map<std::string, double>
      metrics;  // of the evaluation at this step, for keep_best: "validation/loss"; may be empty

  ModelDirectory model;  // files of the owning library, and where components lie
  std::map<std::string, std::string>
      files;  // further files, relative path -> content: tokenizer.json
  std::map<std::string, TensorsByName>
      weights;           // component -> parameters and buffers, as others will read them
  std::string resolved;  // training/resolved.yaml

  /// training/<stem>.safetensors: "optimizer" (`<parameter>.<state>`), "weights" (raw ones, where
  /// the visible ones are averages), "sequence_state".
  std::map<std::string, TensorsByName> training;
};

/// A file of a checkpoint: either text or tensors.
struct CheckpointPart {
  std::string path;  // relative to the checkpoint, with '/'
  std::string text;
  TensorsByName tensors;
  bool is_tensors = false;

  uint64_t bytes() const;                   // of the file
  void write(ChecksummedFile& file) const;  // throws: FileError
};

/// This rank's files of a checkpoint; the manifest is not among them. Throws: Error when two have
/// one path, or a component has no weights on any rank. Collective.
std::vector<CheckpointPart> parts_of(const Snapshot& snapshot, uint64_t max_shard_bytes,
                                     Communicator& ranks);

}  // namespace triga
