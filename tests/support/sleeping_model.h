// SleepingModel: layers that do nothing but take a given time, for the gradients of their inputs and
// of their weights separately: what a pipeline's schedule is worth without the noise of computing,
// on any number of cores.
#pragma once

#include <vector>

#include "triga/architecture.h"

namespace triga::test {

/// Milliseconds of a microbatch.
struct SleepTimes {
  double forward = 10, backward_input = 10, backward_weight = 10;
};

/// A batch is `x`, fp32 [n, width]. The first layer has no inputs from another, so that all of its
/// backward is for its weights; it takes as long as the others.
class SleepingModel final : public Architecture {
 public:
  SleepingModel(int num_layers, SleepTimes times) : num_layers_(num_layers), times_(times) {}

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}

 private:
  int num_layers_;
  SleepTimes times_;
};

}  // namespace triga::test
