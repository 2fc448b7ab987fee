#include "base/large_pages.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <sys/mman.h>

namespace triga {

void ask_for_large_pages(void* data, size_t bytes) {
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  const auto address = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (address + kPage - 1) / kPage * kPage;
  const uintptr_t end = (address + bytes) / kPage * kPage;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

at::Tensor zeros_in_large_pages(int64_t numel, const at::TensorOptions& options) {
  if (!options.device().is_cpu()) return at::zeros({numel}, options);
  at::Tensor tensor = at::empty({numel}, options);
  ask_for_large_pages(tensor.mutable_data_ptr(), tensor.nbytes());
  return tensor.zero_();
}

}  // namespace triga
