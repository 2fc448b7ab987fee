#include "base/host_buffers.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/accumulate.h>

#include "base/files.h"
#include "base/large_pages.h"

namespace triga {
namespace {

/// Zeros that begin at a multiple of kDirectAlignment, as files are written from.
at::Tensor zeros_in_whole_pages(int64_t numel, at::ScalarType type) {
  const auto bytes = numel * static_cast<int64_t>(c10::elementSize(type));
  constexpr auto kAlignment = static_cast<int64_t>(kDirectAlignment);
  const at::Tensor memory =
      zeros_in_large_pages(bytes + kAlignment, at::TensorOptions(at::kCPU).dtype(at::kByte));
  const auto begin = reinterpret_cast<intptr_t>(memory.const_data_ptr());
  return memory.narrow(0, (kAlignment - begin % kAlignment) % kAlignment, bytes).view(type);
}

}  // namespace

at::Tensor HostBuffers::take(const std::string& name, at::IntArrayRef sizes, at::ScalarType type,
                             bool is_pinned) {
  const int64_t numel = c10::multiply_integers(sizes);
  at::Tensor& buffer = buffers_[name];
  if (!buffer.defined() || buffer.numel() != numel || buffer.scalar_type() != type) {
    if (buffer.defined()) memory_.erase(buffer.storage().data());
    buffer = is_pinned
                 ? at::zeros({numel}, at::TensorOptions(at::kCPU).dtype(type).pinned_memory(true))
                 : zeros_in_whole_pages(numel, type);
    if (numel > 0) memory_.insert(buffer.storage().data());
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
