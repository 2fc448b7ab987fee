#include "launchers/compute_process.h"

#include <ATen/Parallel.h>
#include <malloc.h>

#include <limits>

#include "base/memory_meter.h"

namespace triga {
namespace {

/// Tensors of a step are freed and taken again in the next one: the allocator keeps their memory,
/// in place of giving it back to the system and touching every page anew (up to 10 % of a step).
void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  ::mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace

void prepare_to_compute(int local_size) {
  keep_freed_memory();
  MemoryMeter::install();
  widen_default_binding(environment_variable);
  // The cores of this host, shared by its ranks: OpenMP's default would give each all of them.
  at::set_num_threads(num_threads(count_cores(environment_variable), local_size));
}

}  // namespace triga
