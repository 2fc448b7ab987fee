// From an experiment to the question that a plan answers (parallel/planning/plan.h).
#pragma once

#include <functional>

#include "comm/communicator.h"
#include "comm/process_grid.h"
#include "config/experiment.h"
#include "parallel/planning/plan.h"
#include "trainer/assembly.h"

namespace triga {

/// Runs the layers on the experiment's first microbatch. `alone`: a group of this rank only.
/// `progress`: see CostMeasurement. Requires: an assembly with training data.
LayerCosts measure_costs(const Experiment& experiment, const Assembly& assembly,
                         Communicator& alone,
                         std::function<void(size_t layer, size_t num_layers)> progress = {});

/// The same in this process for ranks that compute at once, in threads: they share the memory's
/// bandwidth and the caches. Memory is counted with one of them alone.
LayerCosts measure_costs_of_ranks(
    int num_ranks, const Experiment& experiment, const Assembly& assembly, Communicator& alone,
    const std::function<void(size_t layer, size_t num_layers)>& progress);

/// What costs of layers depend on, in words: they hold for no other experiment.
std::string cost_setting(const Experiment& experiment, const Architecture& architecture,
                         int64_t num_parameters);

/// The schedule of the first step on a grid. Throws: ConfigError when a user's own has no room for
/// its microbatches.
Schedule first_schedule(const Experiment& experiment, const Assembly& assembly, GridShape grid);

/// A step of the experiment on a grid, cut evenly, as `parallel.partition` lists, or for the least
/// time; `most_bytes`: of a stage, when the cut is chosen here, 0: any. Throws: ConfigError for a
/// pipeline that the model does not make.
PlanQuestion plan_question(const Experiment& experiment, const Assembly& assembly, GridShape grid,
                           LayerCosts costs, int64_t most_bytes);

}  // namespace triga
