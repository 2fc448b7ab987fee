#include "checkpoint/retention.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

namespace triga {
namespace {

struct Scored {
  double badness;  // less is better
  int64_t step;
  bool operator<(const Scored& other) const {
    return std::tie(badness, step) < std::tie(other.badness, other.step);
  }
};

// Those with a value, best first.
std::vector<Scored> ranking(const std::vector<CheckpointSummary>& checkpoints,
                            const KeepBest& keep_best) {
  std::vector<Scored> scored;
  for (const auto& checkpoint : checkpoints) {
    const auto metric = checkpoint.metrics.find(keep_best.metric);
    if (metric == checkpoint.metrics.end() || std::isnan(metric->second)) continue;
    scored.push_back({keep_best.maximize ? -metric->second : metric->second, checkpoint.step});
  }
  std::sort(scored.begin(), scored.end());
  return scored;
}

}  // namespace

std::set<int64_t> steps_to_keep(const std::vector<CheckpointSummary>& checkpoints,
                                const Retention& retention) {
  std::set<int64_t> newest_first;
  for (const auto& checkpoint : checkpoints) newest_first.insert(-checkpoint.step);
  std::set<int64_t> keep;
  for (int64_t negative : newest_first) {
    if (static_cast<int64_t>(keep.size()) >= std::max<int64_t>(1, retention.keep_last)) break;
    keep.insert(-negative);
  }
  if (!retention.keep_best) return keep;
  int64_t num_best = 0;
  for (const auto& scored : ranking(checkpoints, *retention.keep_best)) {
    if (num_best++ >= retention.keep_best->count) break;
    keep.insert(scored.step);
  }
  return keep;
}

void keep_ways_back(const std::vector<CheckpointSummary>& checkpoints, std::set<int64_t>& keep) {
  std::map<int64_t, int64_t, std::greater<>> newest_first;  // step, first spike of its series
  for (const auto& one : checkpoints) newest_first[one.step] = one.first_spike_step;
  for (const auto& [step, first_spike] : newest_first) {
    if (first_spike == 0 || !keep.contains(step)) continue;
    const auto before = newest_first.upper_bound(first_spike);  // the next smaller step
    if (before != newest_first.end()) keep.insert(before->first);
  }
}

std::optional<int64_t> best_step(const std::vector<CheckpointSummary>& checkpoints,
                                 const KeepBest& keep_best) {
  const auto scored = ranking(checkpoints, keep_best);
  if (scored.empty()) return std::nullopt;
  return scored.front().step;
}

}  // namespace triga
