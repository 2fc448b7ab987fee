// Where to cut a model into stages: the slowest stage as fast as can be, and, among cuts that are
// nearly as good, the one that leaves the fullest stage the most memory.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace triga {

struct PartitionQuestion {
  std::vector<double> seconds;  // [layer] forward and backward of a microbatch
  size_t num_stages = 1;
  /// What a stage of layers [begin, end) takes. Empty: memory does not matter.
  std::function<int64_t(size_t stage, size_t begin, size_t end)> bytes = nullptr;
  int64_t most_bytes = 0;  // that a stage may take; 0: any
  /// How much slower than the fastest cut one with less memory may be.
  double slack = 0.02;
};

/// The first layer of each stage, then the number of layers; by dynamic programming over all cuts.
/// No stage is empty. Where no cut keeps to most_bytes, the one that needs the least. Requires: at
/// least as many layers as stages, at least one stage.
std::vector<size_t> balanced_bounds(const PartitionQuestion& question);

}  // namespace triga
