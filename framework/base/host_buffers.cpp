#include "base/host_buffers.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/accumulate.h>

#include "base/large_pages.h"

namespace triga {

at::Tensor HostBuffers::take(const std::string& name, at::IntArrayRef sizes, at::ScalarType type,
                             bool is_pinned) {
  const int64_t numel = c10::multiply_integers(sizes);
  at::Tensor& buffer = buffers_[name];
  if (!buffer.defined() || buffer.numel() != numel || buffer.scalar_type() != type) {
    if (buffer.defined()) memory_.erase(buffer.const_data_ptr());
    const at::TensorOptions options = at::TensorOptions(at::kCPU).dtype(type);
    buffer = is_pinned ? at::zeros({numel}, options.pinned_memory(true))
                       : zeros_in_large_pages(numel, options);
    if (numel > 0) memory_.insert(buffer.const_data_ptr());
  }
  return buffer.view(sizes);
}

at::Tensor HostBuffers::keep(const std::string& name, const at::Tensor& tensor) {
  if (tensor.is_cpu() && tensor.is_contiguous() && tensor.has_storage() &&
      memory_.contains(tensor.storage().data()))
    return tensor;
  const c10::AutoGradMode no_grad(false);
  const at::Tensor copy =
      take(name, tensor.sizes(), tensor.scalar_type(), /*is_pinned=*/tensor.is_cuda());
  return at::Tensor(copy).copy_(tensor, /*non_blocking=*/false);
}

int64_t HostBuffers::num_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, buffer] : buffers_) bytes += static_cast<int64_t>(buffer.nbytes());
  return bytes;
}

}  // namespace triga
