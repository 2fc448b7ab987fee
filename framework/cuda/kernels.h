// CUDA kernels, as functions that need neither LibTorch nor C++20: kernels.cu is compiled by nvcc.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace triga {

enum class ElementType { kFloat, kBFloat16, kHalf };

struct MaskArguments {
  const void* x = nullptr;
  const void* residual = nullptr;  // or null
  void* y = nullptr;
  int64_t numel = 0;
  uint64_t key = 0, counter_high = 0;
  uint32_t threshold = 0;
  float scale = 1;
};

/// y = residual + (word i of Philox (key, counter_high) >= threshold ? x * scale : 0), computed in
/// fp32 and rounded once.
cudaError_t launch_mask(ElementType type, const MaskArguments& arguments, cudaStream_t stream);

}  // namespace triga
