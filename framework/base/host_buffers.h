// HostBuffers: memory of the host that is taken once and used again under the same name: what a
// checkpoint is copied into, save after save, without finding pages anew.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <string>

namespace triga {

/// Not thread-safe. Tensors that it gave stay valid, but the next take() of their name is the same
/// memory.
class HostBuffers {
 public:
  /// The buffer of this name, contiguous, its pages touched, from the beginning of a page on; a new
  /// one the first time, or when size or type have changed. `is_pinned`: a device copies into it without a detour.
  at::Tensor take(const std::string& name, at::IntArrayRef sizes, at::ScalarType type,
                  bool is_pinned = false);

  /// The content of `tensor`, of any device, in memory that only the next keep() or take() of this
  /// name changes: a copy; or the tensor itself where it lies in one of these buffers. The copy is
  /// done when it returns.
  at::Tensor keep(const std::string& name, const at::Tensor& tensor);

  /// What was taken so far.
  int64_t num_bytes() const;

 private:
  std::map<std::string, at::Tensor> buffers_;  // flat
  std::set<const void*> memory_;               // where their storages begin
};

}  // namespace triga
