// DeviceKernels: what the library of a device that is not the CPU brings to the operations of
// triga/ops.h; where LibTorch has the operation for every device, that is taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace triga {

struct Masking {
  uint64_t key = 0, counter_high = 0;  // of the Philox stream
  uint32_t threshold = 0;              // element i stays where word i of the stream is not below
  float scale = 1;                     // of what stays
};

struct DeviceKernels {
  /// residual + (element stays ? x * scale : 0), in x's shape and type; without `residual` where it
  /// is undefined. Contiguous tensors of fp32, bf16 or fp16.
  at::Tensor (*mask)(const at::Tensor& x, const at::Tensor& residual,
                     const Masking& masking) = nullptr;
};

/// For the library, when it is opened.
void set_device_kernels(const DeviceKernels& kernels);
/// Throws: Error when no library was opened.
const DeviceKernels& device_kernels();

}  // namespace triga
