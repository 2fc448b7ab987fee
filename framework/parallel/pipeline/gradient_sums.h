// GradientSums: what the layers of a rank say in one step of gradients inside of them
// (LayerContext::gradient_report), added up over its microbatches, and then over all ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"

namespace triga {

class GradientSums {
 public:
  /// `squares`: fp64 [n], sums of squares at n places; sequences of several lengths are added up at
  /// their beginnings.
  void add(const std::string& layer, std::string_view name, const at::Tensor& squares);

  /// Norms at each place by "layer.name", of what all ranks of `world` have, the same on each; the
  /// sums begin anew. Collective.
  std::map<std::string, std::vector<double>> take_norms(Communicator& world);

 private:
  std::map<std::string, std::vector<double>> sums_;
};

}  // namespace triga
