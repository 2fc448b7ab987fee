// RunSaves: when a run is saved, and how: copied and then written while training goes on, or written
// while training waits. Rank 0's clock decides on checkpoint.every_minutes; what ranks must agree on
// travels with the votes of a step. Rank 0 says when a save lasts longer than anything should.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/host_buffers.h"
#include "checkpoint/background_writer.h"
#include "metrics/metric_sink.h"
#include "parallel/strategy.h"
#include "trainer/grace_period.h"
#include "trainer/save_watch.h"
#include "trainer/trainer_inputs.h"

namespace triga {

/// Collective but for the looks at what is known: each rank calls the same, in the same order.
class RunSaves {
 public:
  static constexpr size_t kNumVotes = 3;

  /// `resolved`: the text of resolved.yaml; `first_step`: of this start, whose checkpoint is there
  /// unless it is 0. All must outlive it. Throws: CheckpointError, PluginError.
  RunSaves(const TrainerInputs& inputs, Strategy& strategy, const std::string& resolved,
           int64_t first_step);

  /// Of this rank, to be added up over all in a step.
  void cast_votes(std::span<double, kNumVotes> votes) const;
  /// Their sums, when the step is over: goes on with the save that is under way.
  void take_votes(std::span<const double, kNumVotes> votes);

  void step_took(double seconds) {
    for (GracePeriod& grace : grace_) grace.step_took(seconds);
  }

  /// Whether the checkpoint of `step`, which was just trained, is due.
  bool is_due(int64_t step) const;

  /// `metrics`: of an evaluation at this step. A save that is still under way is waited for first.
  /// A failure does not end a run that goes on: the older checkpoints stay, and the log says it.
  /// `is_last`: returns when it is saved. Throws: CheckpointError when the last one failed, or when
  /// another run has taken the directory.
  void save(const TrainingState& state, const std::map<std::string, double>& metrics, bool is_last);
  /// Waits for the save that is under way, if there is one.
  void finish();

  /// The step of the newest checkpoint that is known to be there; -1: there is none.
  int64_t saved_step() const { return saved_step_; }
  SaveRecord record() const;

 private:
  Snapshot snapshot(const TrainingState& state, const std::map<std::string, double>& metrics,
                    HostBuffers* buffers);
  template <class Action>
  std::string failure_of(const Action& action);
  void is_saved(int64_t step, bool in_background);
  void has_failed(int64_t step, const std::string& failure);
  bool is_first() const { return inputs_.grid.rank() == 0; }

  using Clock = std::chrono::steady_clock;
  const TrainerInputs& inputs_;
  Strategy& strategy_;
  const std::string& resolved_;
  const TextFiles files_;  // of the model directory, beside the architecture's own
  CheckpointWriter writer_;
  HostBuffers buffers_;
  std::unique_ptr<SaveWatch> watch_;  // of rank 0; null elsewhere
  BackgroundWriter background_;
  std::array<GracePeriod, 2> grace_;
  int64_t saved_step_;
  int64_t num_failed_ = 0;
  int64_t num_steps_ = 0;                      // since the last save began
  Clock::time_point began_at_ = Clock::now();  // the last save, or this start
  bool is_due_by_clock_ = false;
};

}  // namespace triga
