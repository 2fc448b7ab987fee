// A thread makes the four elements of one Philox block, so the words of a block are used by the
// thread that drew them.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "base/philox.h"
#include "cuda/kernels.h"

namespace triga {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 65536;  // of threads; each goes on to further elements

template <class T>
__global__ void mask_kernel(MaskArguments arguments) {
  const T* x = static_cast<const T*>(arguments.x);
  const T* residual = static_cast<const T*>(arguments.residual);
  T* y = static_cast<T*>(arguments.y);
  const int64_t num_blocks = (arguments.numel + 3) / 4;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t block = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       block < num_blocks; block += stride) {
    uint32_t words[4];
    philox_block(arguments.key, arguments.counter_high, static_cast<uint64_t>(block), words);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int64_t i = block * 4 + k;
      if (i >= arguments.numel) break;
      const float kept =
          words[k] >= arguments.threshold ? static_cast<float>(x[i]) * arguments.scale : 0.0f;
      const float base = residual == nullptr ? 0.0f : static_cast<float>(residual[i]);
      y[i] = static_cast<T>(base + kept);
    }
  }
}

}  // namespace

cudaError_t launch_mask(ElementType type, const MaskArguments& arguments, cudaStream_t stream) {
  const int64_t num_blocks = (arguments.numel + 4 * kThreads - 1) / (4 * kThreads);
  if (num_blocks == 0) return cudaSuccess;
  const dim3 grid(static_cast<unsigned>(num_blocks < kMostBlocks ? num_blocks : kMostBlocks));
  switch (type) {
    case ElementType::kFloat:
      mask_kernel<float><<<grid, kThreads, 0, stream>>>(arguments);
      break;
    case ElementType::kBFloat16:
      mask_kernel<__nv_bfloat16><<<grid, kThreads, 0, stream>>>(arguments);
      break;
    case ElementType::kHalf:
      mask_kernel<__half><<<grid, kThreads, 0, stream>>>(arguments);
      break;
  }
  return cudaGetLastError();
}

}  // namespace triga
