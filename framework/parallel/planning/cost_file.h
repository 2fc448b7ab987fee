// Costs of layers as a file: to plan for a machine that is not here (a GPU), from what was measured
// there or what a person expects. Text with a line a layer, values separated by commas:
//
//   # measured_with: 799104 parameters, microbatch_size 8, sequence_length 64, ..., recompute none
//   # batch_bytes: 65536
//   # transfer_bytes_per_second: 2.4e+09
//   layer,forward,backward,backward_input,backward_weight,update,kept_bytes,forward_peak_bytes,backward_peak_bytes,outputs
//   embedding,0.00021,0.00034,0.00001,0.00033,0.00052,1572864,1572864,786432,hidden=1572864
//
// Times are seconds, of a microbatch (`update`: of a step); `outputs` are the bytes of each
// activation, separated by spaces. `measured_with` may be left out by a person; where it is given,
// the experiment must be of that kind, for the costs are of no other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parallel/planning/layer_costs.h"
#include "triga/layer.h"

namespace triga {

std::string costs_to_text(const LayerCosts& costs, const std::string& measured_with);

/// The costs of these layers, in their order. `measured_with`: what they must have been measured
/// with; `where`: the file, for messages. Throws: ConfigError with every line that is wrong, and
/// every layer or activation that is missing, or not the model's.
LayerCosts costs_from_text(std::string_view text, const std::vector<LayerSpec>& layers,
                           const std::string& measured_with, const std::string& where);

}  // namespace triga
