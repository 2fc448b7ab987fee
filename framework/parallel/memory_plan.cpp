#include "parallel/memory_plan.h"

#include <c10/core/ScalarType.h>

namespace triga {

MemoryPlan plan_memory(const MemoryQuestion& question) {
  constexpr int64_t kFloatBytes = 4;
  const int64_t all = question.num_elements;
  const int64_t owned = question.zero > 0 ? all / question.num_ranks : all;
  MemoryPlan plan;
  plan.values_bytes = all * static_cast<int64_t>(elementSize(question.compute_type));
  plan.gradients_bytes = all * kFloatBytes;
  if (question.zero == 2) {
    const int64_t slots = question.slot_elements + question.slot_elements / question.num_ranks;
    plan.gradients_bytes = (owned + slots + question.shared_elements) * kFloatBytes;
  }
  if (question.compute_type != at::kFloat) plan.masters_bytes = owned * kFloatBytes;
  plan.optimizer_bytes = question.num_states * owned * kFloatBytes;
  plan.fixed_bytes = question.fixed_bytes;
  if (question.keeps_snapshot)
    plan.snapshot_bytes = (all + question.num_states * owned) * kFloatBytes + question.fixed_bytes;
  return plan;
}

}  // namespace triga
