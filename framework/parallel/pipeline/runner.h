// PipelineRunner: executes a rank's list of actions on its stages.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/stage.h"
#include "parallel/pipeline/transport.h"

namespace triga {

class PipelineRunner {
 public:
  /// `stages`: this rank's, by their number. All references must outlive the runner. Collective
  /// over `pipeline`.
  PipelineRunner(const std::map<int, std::unique_ptr<Stage>>& stages,
                 const std::vector<StageFlow>& flow, std::vector<int> rank_of_stage,
                 Communicator& pipeline);

  struct Step {
    const std::vector<Batch>* microbatches =
        nullptr;  // by index; those without samples are passed over
    std::function<StepContext(int stage)> context;
    LossScale scale;  // of a schedule that goes backward
    /// What layers remember of the microbatch's sequences. Null: nothing is remembered.
    std::function<SequenceState*(const Batch&)> sequence_state = {};
    Trace* trace = nullptr;  // waiting for other stages is recorded there
    std::function<void(const StageRun&, const Batch&, int stage)> forward_done = {};
    /// Around what brings gradients of parameters: a backward action, or its second part.
    std::function<void(int stage, bool is_last)> begin_backward = {};
    std::function<void()> end_backward = {};
  };

  /// The actions of this rank. Messages go as the schedule says, on all ranks of the pipeline.
  void run(const Schedule& schedule, const Step& step);

 private:
  struct Key {
    int stage, microbatch;
    auto operator<=>(const Key&) const = default;
  };
  void forward(const Key& key, const Step& step);
  void backward(ActionKind kind, const Key& key, const Step& step, bool is_last);
  /// For the others to see, should this rank stop here.
  void report(const Action& action);
  /// From another stage, or to one: of this rank or of another.
  Activations take(const StageMessage& message);
  void give(const StageMessage& message, Activations tensors);
  Activations gather_inputs(const Key& key);
  Activations gather_gradients(const Key& key);
  void give_outputs(const Key& key, const Activations& outputs);
  void give_gradients(const Key& key, const Activations& gradients);

  const std::map<int, std::unique_ptr<Stage>>& stages_;
  const std::vector<StageFlow>& flow_;
  const std::vector<int> rank_of_stage_;
  Communicator& pipeline_;
  const size_t rank_;       // of the pipeline
  Trace* trace_ = nullptr;  // of the step
  StageTransport transport_;
  std::map<Key, StageRun> runs_;                // forward is done, backward is not
  std::map<Key, Stage::InputGradients> rests_;  // of backward in two parts
  std::map<StageMessage, Activations> handed_;  // between stages of this rank
};

}  // namespace triga
