// What each layer of a model costs for one microbatch: time, and memory in bytes of the allocator.
// Measured by running it, forward and backward, as training does; layers that look alike (the
// blocks of a transformer) are measured once.
//
//   layers, a microbatch -> LayerCosts -> partition.h (where to cut) and plan.h (what a step takes)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "parallel/pipeline/stage.h"
#include "parameters/parameter_store.h"
#include "triga/architecture.h"
#include "triga/optimizer.h"

namespace triga {

struct LayerCost {
  std::string layer;
  // Seconds for a microbatch. Backward in two parts may take longer than in one.
  double forward = 0, backward = 0, backward_input = 0, backward_weight = 0;
  double update = 0;       // seconds a step: gradient norm and optimizer, for all of its parameters
  int64_t kept_bytes = 0;  // from forward to backward, with outputs, without inputs
  int64_t forward_peak_bytes = 0;   // at most while it goes forward, above what was there before
  int64_t backward_peak_bytes = 0;  // while it goes backward, above what forward had kept
  std::map<std::string, int64_t> output_bytes;  // by activation that it writes
};

struct LayerCosts {
  std::vector<LayerCost> layers;
  int64_t batch_bytes = 0;               // of the microbatch
  int64_t touched_bytes = 0;             // by the whole model: what is kept, parameters, gradients
  double transfer_bytes_per_second = 0;  // between two ranks of a host: one copy on each side
};

/// How a run would compute.
struct CostMeasurement {
  uint64_t seed = 0;
  Recompute recompute = Recompute::kNone;
  at::ScalarType compute_type = at::kFloat;
  std::vector<GroupRule> groups;
  std::function<std::unique_ptr<Optimizer>()> make_optimizer;  // not null
  double seconds_each = 0.2;  // spent on each distinct layer, about
  /// LayerCosts::touched_bytes, where it is known: several measurements at once, in one process,
  /// cannot tell whose memory is whose, and only their times mean anything.
  std::optional<int64_t> touched_bytes;
  /// Before a layer is measured: its index, the number of layers. May be null.
  std::function<void(size_t layer, size_t num_layers)> progress;
};

/// Sets the times of `costs` to the means of those of `measured`, which are of the same layers.
void average_times(LayerCosts& costs, const std::vector<LayerCosts>& measured);

/// Runs every distinct layer on `batch`, a microbatch with samples. `alone`: a group of this rank
/// only; what is measured lies on its device. Requires: layers that check_layers() accepts.
LayerCosts measure_layers(const Architecture& architecture, const Batch& batch, Communicator& alone,
                          const CostMeasurement& measurement);

}  // namespace triga
