#include "parallel/pipeline/runner.h"

#include <algorithm>
#include <utility>

#include "base/trace.h"
#include "triga/error.h"

namespace triga {
namespace {

using enum ActionKind;

const StageFlow& at_stage(const std::vector<StageFlow>& flow, int stage) {
  return flow[static_cast<size_t>(stage)];
}

Activations part_of(const Activations& tensors, const std::vector<std::string>& names) {
  Activations part;
  for (const std::string& name : names) {
    const at::Tensor* tensor = tensors.find(name);
    part.set(name, tensor == nullptr || !tensor->defined()
                       ? at::Tensor()
                       : tensor->detach().set_requires_grad(tensor->requires_grad()));
  }
  return part;
}

Phase phase_of(ActionKind kind) {
  switch (kind) {
    case kForward:
      return Phase::kForward;
    case kBackward:
      return Phase::kBackward;
    case kBackwardInput:
      return Phase::kBackwardInputs;
    case kBackwardWeight:
      return Phase::kBackwardWeights;
  }
  return Phase::kOther;
}

/// The places in the list that bring a stage's last gradients of parameters. A list may have whole
/// backward actions and such in two parts; recomputation gives all with the first part.
std::vector<bool> last_backward(const std::vector<Action>& actions,
                                const std::vector<Batch>& microbatches, bool is_recomputed) {
  const ActionKind bringing_part = is_recomputed ? kBackwardInput : kBackwardWeight;
  std::vector<bool> is_last(actions.size(), false);
  std::map<int, size_t> last;  // by stage
  for (size_t i = 0; i < actions.size(); ++i) {
    const auto [kind, stage, microbatch] = actions[i];
    if ((kind == kBackward || kind == bringing_part) &&
        microbatches[static_cast<size_t>(microbatch)].num_samples > 0)
      last[stage] = i;
  }
  for (const auto& [stage, place] : last) is_last[place] = true;
  return is_last;
}

}  // namespace

PipelineRunner::PipelineRunner(const std::map<int, std::unique_ptr<Stage>>& stages,
                               const std::vector<StageFlow>& flow, std::vector<int> rank_of_stage,
                               Communicator& pipeline)
    : stages_(stages),
      flow_(flow),
      rank_of_stage_(std::move(rank_of_stage)),
      pipeline_(pipeline),
      rank_(static_cast<size_t>(pipeline.rank())),
      transport_(pipeline, flow, rank_of_stage_) {}

void PipelineRunner::run(const Schedule& schedule, const Step& step) {
  const std::vector<Batch>& microbatches = *step.microbatches;
  const auto is_empty = [&](int microbatch) {
    return microbatches[static_cast<size_t>(microbatch)].num_samples == 0;
  };
  std::vector<std::vector<StageMessage>> sent;
  for (const std::vector<Action>& actions : schedule.actions) {
    sent.push_back(messages_of(actions, flow_, rank_of_stage_));
    std::erase_if(sent.back(), [&](const StageMessage& one) { return is_empty(one.microbatch); });
  }
  trace_ = step.trace;
  transport_.begin(sent);
  const std::vector<Action>& actions = schedule.actions[rank_];
  const bool is_recomputed =
      !stages_.empty() && step.context(stages_.begin()->first).recompute != Recompute::kNone;
  const std::vector<bool> is_last = last_backward(actions, microbatches, is_recomputed);
  for (size_t i = 0; i < actions.size(); ++i) {
    const Key key{actions[i].stage, actions[i].microbatch};
    transport_.poll();
    report(actions[i]);
    if (actions[i].kind == kForward) {
      if (!is_empty(key.microbatch)) forward(key, step);
    } else {
      backward(actions[i].kind, key, step, is_last[i]);
    }
  }
  transport_.finish();
  pipeline_.progress().set_doing({});
  TRIGA_CHECK(handed_.empty() && rests_.empty(), "a step left something undone");
  runs_.clear();  // of schedules that only go forward
}

void PipelineRunner::forward(const Key& key, const Step& step) {
  const Batch& batch = (*step.microbatches)[static_cast<size_t>(key.microbatch)];
  StepContext context = step.context(key.stage);
  if (step.sequence_state) context.sequence_state = step.sequence_state(batch);
  StageRun run = stages_.at(key.stage)->forward(gather_inputs(key), batch, context);
  if (step.forward_done) step.forward_done(run, batch, key.stage);
  give_outputs(key, run.outputs);
  if (step.scale) runs_.emplace(key, std::move(run));
}

// Also without a microbatch, where a reduction of every pass waits for this rank.
void PipelineRunner::backward(ActionKind kind, const Key& key, const Step& step, bool is_last) {
  const bool is_empty = (*step.microbatches)[static_cast<size_t>(key.microbatch)].num_samples == 0;
  const Stage& stage = *stages_.at(key.stage);
  const StepContext context = step.context(key.stage);
  const auto begin = [&] {
    if (step.begin_backward) step.begin_backward(key.stage, is_last);
  };
  const auto end = [&] {
    if (step.end_backward) step.end_backward();
  };
  // What is recomputed gives all gradients at once: the second part has nothing to do.
  const bool is_whole = kind == kBackward || context.recompute != Recompute::kNone;
  if (is_whole && kind == kBackwardWeight) return;
  if (!is_whole && kind == kBackwardInput) {
    if (is_empty) return;
    const TraceSpan span(context.trace, TraceKind::kBackward, "backward of inputs");
    auto result =
        stage.backward_inputs(std::move(runs_.at(key)), gather_gradients(key), step.scale);
    runs_.erase(key);
    give_gradients(key, std::exchange(result.gradients, {}));
    rests_.emplace(key, std::move(result));
    return;
  }
  Activations gradients;
  if (is_whole && !is_empty) gradients = gather_gradients(key);
  begin();
  if (!is_empty) {
    const TraceSpan span(context.trace, TraceKind::kBackward,
                         is_whole ? "backward" : "backward of weights");
    if (is_whole) {
      gradients = stage.backward(std::move(runs_.at(key)), gradients, step.scale);
      runs_.erase(key);
    } else {
      stage.backward_weights(rests_.at(key));
      rests_.erase(key);
    }
  }
  end();
  if (is_whole && !is_empty) give_gradients(key, gradients);
}

void PipelineRunner::report(const Action& action) {
  pipeline_.progress().set_doing(
      {phase_of(action.kind), pipeline_.size() == 1 ? -1 : action.stage, action.microbatch});
}

Activations PipelineRunner::take(const StageMessage& message) {
  if (!transport_.is_here(message.from)) {
    const TraceSpan span(
        trace_, TraceKind::kWait,
        message.is_gradient ? "gradients from another stage" : "activations from another stage");
    return transport_.receive(message);
  }
  auto handed = handed_.extract(message);
  TRIGA_CHECK(!handed.empty(), "stage ", message.from, " gave nothing to stage ", message.to);
  return std::move(handed.mapped());
}

void PipelineRunner::give(const StageMessage& message, Activations tensors) {
  if (transport_.is_here(message.to))
    handed_[message] = std::move(tensors);
  else
    transport_.send(message, tensors);
}

Activations PipelineRunner::gather_inputs(const Key& key) {
  Activations inputs;
  for (const StageFlow::Edge& edge : at_stage(flow_, key.stage).sources)
    for (auto& [name, tensor] : take({false, edge.stage, key.stage, key.microbatch}))
      inputs.set(name, std::move(tensor));
  return inputs;
}

/// Of all readers, the latest first: the order in which autograd adds up what layers of one stage
/// give.
Activations PipelineRunner::gather_gradients(const Key& key) {
  Activations gradients;
  const std::vector<StageFlow::Edge>& readers = at_stage(flow_, key.stage).readers;
  for (auto edge = readers.rbegin(); edge != readers.rend(); ++edge)
    for (const auto& [name, tensor] : take({true, edge->stage, key.stage, key.microbatch})) {
      if (!tensor.defined()) continue;
      const at::Tensor* sum = gradients.find(name);
      gradients.set(name, sum == nullptr ? tensor : sum->add(tensor));
    }
  return gradients;
}

void PipelineRunner::give_outputs(const Key& key, const Activations& outputs) {
  for (const StageFlow::Edge& edge : at_stage(flow_, key.stage).readers)
    give({false, key.stage, edge.stage, key.microbatch}, part_of(outputs, edge.names));
}

void PipelineRunner::give_gradients(const Key& key, const Activations& gradients) {
  for (const StageFlow::Edge& edge : at_stage(flow_, key.stage).sources)
    give({true, key.stage, edge.stage, key.microbatch}, part_of(gradients, edge.names));
}

}  // namespace triga
