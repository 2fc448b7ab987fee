#include "trainer/step_batches.h"

namespace triga {

BatchPlanOptions plan_options_of(const Experiment& experiment, const Architecture& architecture) {
  BatchPlanOptions options;
  options.seed = static_cast<uint64_t>(experiment.train.seed);
  options.shuffle = experiment.data.shuffle;
  options.samples_per_step = experiment.train.global_batch.samples.value_or(0);
  options.tokens_per_step = experiment.train.global_batch.tokens.value_or(0);
  options.microbatch_size = experiment.train.microbatch_size;
  options.in_streams = architecture.carries_state();
  return options;
}

LoaderOptions loader_options_of(const Experiment& experiment, const Architecture& architecture,
                                const Dataset& dataset, const std::string& split) {
  LoaderOptions options;
  options.dataset = &dataset;
  options.architecture = &architecture;
  options.split = split;
  options.seed = static_cast<uint64_t>(experiment.train.seed);
  options.prefetch = experiment.data.prefetch;
  if (architecture.carries_state())
    options.num_streams = experiment.train.global_batch.samples.value();
  return options;
}

Batch first_microbatch(const Experiment& experiment, const Architecture& architecture,
                       const Dataset& train) {
  const BatchPlan plan(train, plan_options_of(experiment, architecture));
  LoaderOptions options = loader_options_of(experiment, architecture, train, "train");
  options.num_ranks = static_cast<int64_t>(plan.step(0).microbatches.size());  // one for each
  return TrainLoader(options, plan, 0, 1).next().at(0);
}

int64_t num_microbatches_of_step(const Experiment& experiment, const Architecture& architecture,
                                 const Dataset& train) {
  const BatchPlan plan(train, plan_options_of(experiment, architecture));
  return static_cast<int64_t>(plan.step(0).microbatches.size());
}

}  // namespace triga
