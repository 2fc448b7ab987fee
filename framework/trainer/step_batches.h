// What an experiment says of the batches of a step.
#pragma once

#include <string>

#include "config/experiment.h"
#include "data/batch_plan.h"
#include "data/loader.h"

namespace triga {

/// Requires, here and below: what check_model checks.
BatchPlanOptions plan_options_of(const Experiment& experiment, const Architecture& architecture);

/// For one process; a rank sets its place.
LoaderOptions loader_options_of(const Experiment& experiment, const Architecture& architecture,
                                const Dataset& dataset, const std::string& split);

/// The first microbatch of the first step. Throws: DataError.
Batch first_microbatch(const Experiment& experiment, const Architecture& architecture,
                       const Dataset& train);

/// Microbatches of the first step, over all ranks.
int64_t num_microbatches_of_step(const Experiment& experiment, const Architecture& architecture,
                                 const Dataset& train);

}  // namespace triga
