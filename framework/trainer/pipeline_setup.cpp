#include "trainer/pipeline_setup.h"

#include <algorithm>

#include "comm/shared_segment.h"
#include "parameters/declarations.h"
#include "trainer/experiment_plan.h"
#include "trainer/model_check.h"

namespace triga {
namespace {

/// Every rank measures, all at once as they will compute, and takes the mean of all.
void average(LayerCosts& costs, Communicator& world) {
  std::vector<double> seconds;
  for (const LayerCost& cost : costs.layers)
    seconds.insert(seconds.end(), {cost.forward, cost.backward, cost.backward_input,
                                   cost.backward_weight, cost.update});
  seconds.push_back(costs.transfer_bytes_per_second);
  // Bytes too: an allocator may round differently elsewhere, and all must draw the same conclusion.
  for (const LayerCost& cost : costs.layers)
    seconds.push_back(static_cast<double>(cost.kept_bytes));
  world.all_reduce_values(seconds, ReduceOp::kSum, "costs of layers");
  const double* next = seconds.data();
  const auto mean = [&] { return *next++ / world.size(); };
  for (LayerCost& cost : costs.layers) {
    cost.forward = mean();
    cost.backward = mean();
    cost.backward_input = mean();
    cost.backward_weight = mean();
    cost.update = mean();
  }
  costs.transfer_bytes_per_second = mean();
  for (LayerCost& cost : costs.layers) cost.kept_bytes = static_cast<int64_t>(mean());
}

/// Of the host with the least for each of its ranks; on a device there is no question yet of what
/// else lies there, and the cut with the least memory near the best time is taken.
int64_t memory_of_a_rank(const ProcessGrid& grid) {
  if (!grid.data().device().is_cpu()) return 0;
  Communicator& world = grid.world();
  int on_this_host = 0;
  for (int rank = 0; rank < world.size(); ++rank)
    on_this_host += world.host(rank) == world.host(world.rank()) ? 1 : 0;
  double bytes = -static_cast<double>(available_memory_bytes()) / on_this_host;
  world.all_reduce_values({&bytes, 1}, ReduceOp::kMax, "memory of a rank");
  return static_cast<int64_t>(-bytes);
}

bool fits(const std::vector<int64_t>& cuts, size_t num_stages, size_t num_layers) {
  return cuts.size() + 1 == num_stages &&
         (cuts.empty() || cuts.back() < static_cast<int64_t>(num_layers));
}

}  // namespace

PipelineSetup set_up_pipeline(const Experiment& experiment, const Assembly& assembly,
                              const ProcessGrid& grid,
                              const std::optional<std::vector<int64_t>>& recorded) {
  PipelineSetup setup;
  setup.bounds = stage_bounds(experiment.parallel, layers_of(*assembly.architecture).size());
  first_schedule(experiment, assembly, {grid.dp(), grid.pp()});  // refused before anything is made
  const size_t num_stages = setup.bounds.size() - 1;
  if (experiment.parallel.partition.word != "auto" || num_stages == 1) return setup;
  const size_t num_layers = setup.bounds.back();
  if (recorded && fits(*recorded, num_stages, num_layers)) {
    setup.bounds.assign({0});
    setup.bounds.insert(setup.bounds.end(), recorded->begin(), recorded->end());
    setup.bounds.push_back(num_layers);
  } else {
    const auto alone = grid.world().split(grid.rank(), "costs of layers");
    LayerCosts costs = measure_costs(experiment, assembly, *alone);
    average(costs, grid.world());
    const int64_t memory = memory_of_a_rank(grid);
    const PlanQuestion question =
        plan_question(experiment, assembly, {grid.dp(), grid.pp()}, std::move(costs), memory);
    setup.bounds = question.bounds;
    const int64_t needed = make_plan(question).most_bytes();
    if (memory > 0 && needed > memory) setup.needed_bytes = needed;
    setup.is_measured = true;
  }
  setup.chosen_cuts.emplace(setup.bounds.begin() + 1, setup.bounds.end() - 1);
  return setup;
}

}  // namespace triga
