#include "parallel/planning/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "parallel/data_parallel/gradient_reducer.h"
#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/schedule_check.h"
#include "parallel/planning/partition.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr int64_t kAlignment = 16;  // elements; see ParameterStore
constexpr int64_t kFloatBytes = 4;

/// The parameters of some layers, shared ones once.
struct Parameters {
  int64_t num_trainable = 0;   // elements, with padding
  int64_t shared = 0;          // of these, those that other stages have as well
  int64_t longest = 0;         // elements of the longest of the rest
  int64_t fixed = 0;           // elements of the others, but for buffers
  int64_t buffers = 0;         // elements
  int64_t num_parameters = 0;  // elements without padding and without buffers

  static Parameters of(const PlanQuestion& question, const std::vector<StagePlan>& stages,
                       int rank) {
    Parameters sum;
    std::set<std::string> seen;
    for (const StagePlan& stage : stages)
      if (stage.rank == rank)
        for (size_t layer = stage.begin; layer < stage.end; ++layer)
          for (const Declaration& declaration : question.declarations[layer])
            if (seen.insert(declaration.spec.name).second)
              sum.add(declaration, is_shared(question, stages, declaration.spec.name));
    return sum;
  }

  static bool is_shared(const PlanQuestion& question, const std::vector<StagePlan>& stages,
                        const std::string& name) {
    const auto has = [&](const StagePlan& stage) {
      for (size_t layer = stage.begin; layer < stage.end; ++layer)
        for (const Declaration& declaration : question.declarations[layer])
          if (declaration.spec.name == name) return true;
      return false;
    };
    return std::count_if(stages.begin(), stages.end(), has) > 1;
  }

  void add(const Declaration& declaration, bool is_shared = false) {
    const int64_t numel = declaration.spec.numel();
    if (!declaration.spec.is_buffer) num_parameters += numel;
    if (!declaration.is_trainable) {
      (declaration.spec.is_buffer ? buffers : fixed) += numel;
      return;
    }
    const int64_t padded = (numel + kAlignment - 1) / kAlignment * kAlignment;
    num_trainable += padded;
    if (is_shared)
      shared += padded;
    else
      longest = std::max(longest, numel);
  }
};

int64_t fixed_bytes_of(const PlanQuestion& question, const Parameters& parameters) {
  // What fp32 values lose in bf16, the first rank keeps beside them for checkpoints.
  const int64_t of_fixed =
      question.compute_type == at::kFloat ? kFloatBytes : kFloatBytes + int64_t{2};
  return parameters.fixed * of_fixed + parameters.buffers * kFloatBytes;
}

MemoryPlan state_of(const PlanQuestion& question, const Parameters& parameters) {
  MemoryQuestion memory;
  const int64_t bucket = question.bucket_bytes / kFloatBytes;
  memory.num_elements = parameters.num_trainable;
  // A bucket is at least its largest parameter: one slot as long as that, the others as buckets are.
  const int64_t own = parameters.num_trainable - parameters.shared;
  const int64_t longest = std::min(own, std::max(bucket, parameters.longest));
  memory.slot_elements =
      longest +
      std::min(own - longest, static_cast<int64_t>(GradientReducer::kNumSlots - 1) * bucket);
  memory.shared_elements = parameters.shared;
  memory.fixed_bytes = fixed_bytes_of(question, parameters);
  memory.num_ranks = question.dp;
  memory.zero = question.zero;
  memory.num_states = question.num_states;
  memory.compute_type = question.compute_type;
  memory.keeps_snapshot = question.keeps_snapshot;
  return plan_memory(memory);
}

/// Bytes of activations by name, from the layer that wrote them last before `layer`.
int64_t bytes_of(const PlanQuestion& question, const std::string& name, size_t layer) {
  while (layer-- > 0) {
    const auto& written = question.costs.layers[layer].output_bytes;
    if (const auto found = written.find(name); found != written.end()) return found->second;
  }
  return 0;
}

std::vector<StagePlan> plan_stages(const PlanQuestion& question) {
  const std::vector<StageFlow> flow = flow_between(question.layers, question.bounds);
  std::vector<StagePlan> stages;
  for (size_t i = 0; i < flow.size(); ++i) {
    StagePlan stage;
    stage.begin = question.bounds[i];
    stage.end = question.bounds[i + 1];
    stage.rank = question.schedule.rank_of_stage[i];
    for (size_t layer = stage.begin; layer < stage.end; ++layer) {
      const LayerCost& cost = question.costs.layers[layer];
      stage.forward += cost.forward;
      stage.backward += cost.backward;
      stage.backward_input += cost.backward_input;
      stage.backward_weight += cost.backward_weight;
      stage.kept_bytes += cost.kept_bytes;
    }
    for (const std::string& name : flow[i].inputs)
      stage.kept_bytes += bytes_of(question, name, stage.begin);
    int64_t sent = 0;
    for (const StageFlow::Edge& edge : flow[i].readers)
      for (const std::string& name : edge.names) sent += bytes_of(question, name, stage.end);
    stage.transfer = static_cast<double>(sent) / question.costs.transfer_bytes_per_second;
    if (flow[i]
            .inputs.empty()) {  // no gradients of inputs are made: all of backward is for weights
      stage.backward_weight += stage.backward_input;
      stage.backward_input = 0;
    }
    stages.push_back(stage);
  }
  for (StagePlan& stage : stages) {
    StagePlan alone = stage;
    stage.num_parameters = Parameters::of(question, {alone}, alone.rank).num_parameters;
  }
  return stages;
}

/// What a stage needs beside what it keeps, at most, in one of its layers.
int64_t peak_of(const PlanQuestion& question, const StagePlan& stage, bool is_forward) {
  int64_t kept = 0, most = 0;
  for (size_t layer = stage.begin; layer < stage.end; ++layer) {
    const LayerCost& cost = question.costs.layers[layer];
    // Forward: what the layers before it keep is there already. Backward: it has not gone yet.
    most = std::max(most, is_forward ? kept + cost.forward_peak_bytes : cost.backward_peak_bytes);
    kept += cost.kept_bytes;
  }
  return most;
}

/// Walks through the actions of a rank. A microbatch is held from its forward action to the end of
/// its backward, weights included.
int64_t activation_bytes(const PlanQuestion& question, const std::vector<StagePlan>& stages,
                         int rank) {
  int64_t held = 0, most = 0;
  for (const Action& action : question.schedule.actions[static_cast<size_t>(rank)]) {
    const StagePlan& stage = stages[static_cast<size_t>(action.stage)];
    const bool is_forward = action.kind == ActionKind::kForward;
    most = std::max(most, held + peak_of(question, stage, is_forward));
    if (is_forward) held += stage.kept_bytes;
    most = std::max(most, held);
    // What is recomputed gives all gradients at once.
    const ActionKind last_part =
        question.recomputes ? ActionKind::kBackwardInput : ActionKind::kBackwardWeight;
    if (action.kind == ActionKind::kBackward || action.kind == last_part) held -= stage.kept_bytes;
  }
  return most;
}

}  // namespace

StageCosts stage_costs(const std::vector<StagePlan>& stages, bool splits_backward) {
  StageCosts costs;
  for (const StagePlan& stage : stages) {
    const double parts = stage.backward_input + stage.backward_weight;
    const double scale = splits_backward || parts == 0 ? 1 : stage.backward / parts;
    costs.forward.push_back(stage.forward);
    costs.backward_input.push_back(stage.backward_input * scale);
    costs.backward_weight.push_back(stage.backward_weight * scale);
    costs.transfer.push_back(stage.transfer);
  }
  return costs;
}

int64_t Plan::most_bytes() const {
  int64_t most = 0;
  for (const RankPlan& rank : ranks) most = std::max(most, rank.total_bytes());
  return most;
}

Plan make_plan(const PlanQuestion& question) {
  TRIGA_CHECK(question.costs.layers.size() == question.layers.size() &&
                  question.declarations.size() == question.layers.size(),
              "costs of ", question.costs.layers.size(), " layers for ", question.layers.size());
  Plan plan;
  plan.stages = plan_stages(question);
  plan.simulation =
      simulate(question.schedule, stage_costs(plan.stages, splits_backward(question.schedule)));
  for (int rank = 0; rank < question.schedule.num_ranks(); ++rank) {
    const Parameters parameters = Parameters::of(question, plan.stages, rank);
    RankPlan of_rank;
    of_rank.state = state_of(question, parameters);
    of_rank.activation_bytes = activation_bytes(question, plan.stages, rank);
    of_rank.batch_bytes = question.costs.batch_bytes * question.schedule.num_microbatches *
                          (1 + question.prefetched_steps);
    for (const StagePlan& stage : plan.stages)
      if (stage.rank == rank)
        for (size_t layer = stage.begin; layer < stage.end; ++layer)
          of_rank.update_seconds += question.costs.layers[layer].update;
    if (question.zero > 0) of_rank.update_seconds /= question.dp;
    plan.update_seconds = std::max(plan.update_seconds, of_rank.update_seconds);
    plan.ranks.push_back(of_rank);
  }
  return plan;
}

// A tied parameter counts in each of its layers here: it matters only where both are in one stage.
std::vector<size_t> planned_bounds(const PlanQuestion& question, int64_t most_bytes) {
  PartitionQuestion partition;
  const bool is_split = splits_backward(question.schedule);
  std::vector<Parameters> before(1);  // [layer] sums over the layers before it
  std::vector<int64_t> kept_before(1, 0);
  for (size_t layer = 0; layer < question.layers.size(); ++layer) {
    const LayerCost& cost = question.costs.layers[layer];
    const double backward = is_split ? cost.backward_input + cost.backward_weight : cost.backward;
    partition.seconds.push_back(cost.forward + backward);
    kept_before.push_back(kept_before.back() + cost.kept_bytes);
    before.push_back(before.back());
    for (const Declaration& declaration : question.declarations[layer])
      before.back().add(declaration);
  }
  partition.num_stages = static_cast<size_t>(question.schedule.num_stages());
  const int chunks = question.schedule.num_stages() / question.schedule.num_ranks();
  partition.most_bytes = most_bytes / chunks;  // a rank has so many stages
  const std::vector<int> held = peak_activations(question.schedule);
  partition.bytes = [&](size_t stage, size_t begin, size_t end) {
    const int rank = question.schedule.rank_of_stage[stage];
    Parameters own;
    own.num_trainable = before[end].num_trainable - before[begin].num_trainable;
    own.fixed = before[end].fixed - before[begin].fixed;
    own.buffers = before[end].buffers - before[begin].buffers;
    own.longest = before.back().longest;
    return state_of(question, own).total_bytes() +
           (kept_before[end] - kept_before[begin]) * held[static_cast<size_t>(rank)] / chunks;
  };
  return balanced_bounds(partition);
}

}  // namespace triga
