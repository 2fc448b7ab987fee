#include "trainer/experiment_plan.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "comm/local_communicator.h"
#include "config/placed.h"
#include "parameters/declarations.h"
#include "trainer/model_check.h"
#include "trainer/step_batches.h"

namespace triga {

namespace {

CostMeasurement measurement_of(const Experiment& experiment, const Assembly& assembly) {
  const Strategy::Options options = strategy_options_of(experiment);
  CostMeasurement measurement;
  measurement.seed = options.seed;
  measurement.recompute = options.recompute;
  measurement.compute_type = options.compute_type;
  measurement.groups = options.groups;
  measurement.make_optimizer = assembly.make_optimizer;
  return measurement;
}

LayerCosts measure(const Experiment& experiment, const Assembly& assembly, Communicator& alone,
                   const CostMeasurement& measurement) {
  return measure_layers(*assembly.architecture,
                        first_microbatch(experiment, *assembly.architecture, *assembly.train),
                        alone, measurement);
}

}  // namespace

LayerCosts measure_costs(const Experiment& experiment, const Assembly& assembly,
                         Communicator& alone,
                         std::function<void(size_t layer, size_t num_layers)> progress) {
  CostMeasurement measurement = measurement_of(experiment, assembly);
  measurement.progress = std::move(progress);
  return measure(experiment, assembly, alone, measurement);
}

LayerCosts measure_costs_of_ranks(
    int num_ranks, const Experiment& experiment, const Assembly& assembly, Communicator& alone,
    const std::function<void(size_t layer, size_t num_layers)>& progress) {
  LayerCosts costs = measure_costs(experiment, assembly, alone, progress);
  if (num_ranks == 1) return costs;
  CostMeasurement measurement = measurement_of(experiment, assembly);
  measurement.touched_bytes = costs.touched_bytes;
  const int num_threads = at::get_num_threads();
  std::vector<LayerCosts> measured(static_cast<size_t>(num_ranks));
  std::vector<std::exception_ptr> errors(measured.size());
  std::vector<std::thread> ranks;
  for (size_t i = 0; i < measured.size(); ++i)
    ranks.emplace_back([&, i] {
      try {
        at::set_num_threads(num_threads);
        measured[i] = measure(experiment, assembly, *make_single_communicator(), measurement);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  for (std::thread& rank : ranks) rank.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  average_times(costs, measured);
  return costs;
}

std::string cost_setting(const Experiment& experiment, const Architecture& architecture,
                         int64_t num_parameters) {
  return fmt::format(
      "{} parameters, microbatch_size {}, sequence_length {}, precision {}, recompute {}",
      num_parameters, experiment.train.microbatch_size, architecture.sequence_length(),
      experiment.train.precision, experiment.parallel.recompute);
}

Schedule first_schedule(const Experiment& experiment, const Assembly& assembly, GridShape grid) {
  // Of the ranks with the most microbatches.
  if (experiment.parallel.pipeline_schedule_file && experiment.train.global_batch.tokens)
    throw config_error(experiment.parallel.place.place_of("pipeline_schedule_file"),
                       "plans one number of microbatches, and with train.global_batch.tokens that "
                       "number changes from step to step; give train.global_batch.samples, or name "
                       "a pipeline_schedule");
  const int64_t num_microbatches =
      num_microbatches_of_step(experiment, *assembly.architecture, *assembly.train);
  return placed(experiment.parallel.place.place_of("pipeline_schedule_file"), [&] {
    return schedule_choice_of(experiment.parallel)
        .schedule(grid.pp, static_cast<int>((num_microbatches + grid.dp - 1) / grid.dp));
  });
}

PlanQuestion plan_question(const Experiment& experiment, const Assembly& assembly, GridShape grid,
                           LayerCosts costs, int64_t most_bytes) {
  const Strategy::Options options = strategy_options_of(experiment);
  PlanQuestion question;
  question.layers = layers_of(*assembly.architecture);
  question.declarations = declarations_of(question.layers, options.groups);
  question.costs = std::move(costs);
  question.bounds = stage_bounds(experiment.parallel, question.layers.size());
  question.dp = grid.dp;
  question.zero = options.zero;
  question.recomputes = options.recompute != Recompute::kNone;
  question.num_states = static_cast<int>(assembly.make_optimizer()->state_names().size());
  question.bucket_bytes_are_set = experiment.parallel.bucket_bytes.has_value();
  question.bucket_bytes = experiment.parallel.bucket_bytes.value_or(options.bucket_bytes);
  question.compute_type = options.compute_type;
  question.prefetched_steps = experiment.data.prefetch;
  // Beside a GPU the snapshot lies in memory of the host, which is another one.
  question.keeps_snapshot =
      experiment.checkpoint.asynchronous && experiment.train.device != "cuda" &&
      (experiment.checkpoint.every_steps > 0 || experiment.checkpoint.every_minutes.has_value());
  question.schedule = first_schedule(experiment, assembly, grid);
  if (experiment.parallel.partition.word == "auto")
    question.bounds = planned_bounds(question, most_bytes);
  return question;
}

}  // namespace triga
