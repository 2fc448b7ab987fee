#include "parallel/memory_plan.h"

#include <c10/core/ScalarType.h>

#include <algorithm>

#include "parallel/data_parallel/gradient_reducer.h"

namespace triga {

MemoryPlan plan_memory(const MemoryQuestion& question) {
  constexpr int64_t kFloatBytes = 4;
  const int64_t all = question.num_elements;
  const int64_t owned = question.zero > 0 ? all / question.num_ranks : all;
  MemoryPlan plan;
  plan.values_bytes = all * static_cast<int64_t>(elementSize(question.compute_type));
  plan.gradients_bytes = all * kFloatBytes;
  if (question.zero == 2) {
    const int64_t num_slots = std::min<int64_t>(GradientReducer::kNumSlots, question.num_buckets);
    const int64_t slot = question.longest_bucket + question.longest_bucket / question.num_ranks;
    plan.gradients_bytes = (owned + num_slots * slot) * kFloatBytes;
  }
  if (question.compute_type != at::kFloat) plan.masters_bytes = owned * kFloatBytes;
  plan.optimizer_bytes = question.num_states * owned * kFloatBytes;
  return plan;
}

}  // namespace triga
