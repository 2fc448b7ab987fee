// Plan: what a step of an experiment takes on a grid of ranks, before anything runs there: time by
// stage, memory by rank, and the schedule with these times.
#pragma once

#include <string>
#include <vector>

#include "parallel/memory_plan.h"
#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/simulate.h"
#include "parallel/planning/layer_costs.h"
#include "parameters/declarations.h"
#include "triga/layer.h"

namespace triga {

struct PlanQuestion {
  std::vector<LayerSpec> layers;
  std::vector<std::vector<Declaration>> declarations;  // [layer]
  LayerCosts costs;
  Schedule schedule;           // of the microbatches of one pipeline
  std::vector<size_t> bounds;  // of the stages
  int dp = 1;
  int zero = 1;
  int num_states = 2;  // of the optimizer
  int64_t bucket_bytes = 4 << 20;
  bool recomputes = false;            // activations, in backward
  bool bucket_bytes_are_set = false;  // by the experiment; a run would measure them otherwise
  at::ScalarType compute_type = at::kFloat;
  int64_t prefetched_steps = 2;  // whose batches wait
  bool keeps_snapshot = false;   // MemoryQuestion::keeps_snapshot
};

struct StagePlan {
  size_t begin = 0, end = 0;  // layers
  int rank = 0;               // of the pipeline
  int64_t num_parameters = 0;
  // Seconds for a microbatch.
  double forward = 0, backward = 0, backward_input = 0, backward_weight = 0, transfer = 0;
  int64_t kept_bytes = 0;  // by a microbatch between forward and backward, with its inputs
};

/// Bytes of the allocator, at the worst moment of a step.
struct RankPlan {
  MemoryPlan state;              // parameters, gradients, optimizer, snapshot
  int64_t activation_bytes = 0;  // of all microbatches held at once, and what is computed with them
  int64_t batch_bytes = 0;       // of this step and those read ahead
  double update_seconds = 0;
  int64_t total_bytes() const { return state.total_bytes() + activation_bytes + batch_bytes; }
};

struct Plan {
  std::vector<StagePlan> stages;
  std::vector<RankPlan> ranks;  // of one pipeline
  Simulation simulation;        // forward and backward
  double update_seconds = 0;    // of the slowest rank
  double step_seconds() const { return simulation.seconds + update_seconds; }
  int64_t most_bytes() const;  // of the rank that needs most
};

/// Requires: bounds that fit the schedule's stages; costs and declarations of these layers.
Plan make_plan(const PlanQuestion& question);

/// Where to cut for the least time: balanced_bounds() over these costs, with the memory that a stage
/// takes by itself. `question.bounds` is not read. `most_bytes` of a rank; 0: any. Where no cut
/// keeps to it, the one that needs the least.
std::vector<size_t> planned_bounds(const PlanQuestion& question, int64_t most_bytes);

/// Seconds of a microbatch by stage, for simulate(); `splits_backward`: by the times of its two
/// parts, else by that of the whole.
StageCosts stage_costs(const std::vector<StagePlan>& stages, bool splits_backward);

}  // namespace triga
