#include "cuda/device_ops.h"

#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "cuda/kernels.h"
#include "triga/error.h"

namespace triga {
namespace {

ElementType element_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ElementType::kFloat;
    case at::kBFloat16:
      return ElementType::kBFloat16;
    case at::kHalf:
      return ElementType::kHalf;
    default:
      throw Error(c10::str("dropout on CUDA has no kernel for ", toString(type)));
  }
}

at::Tensor mask(const at::Tensor& x, const at::Tensor& residual, const Masking& masking) {
  TRIGA_CHECK(x.is_cuda() && x.is_contiguous(), "mask of ", x.device());
  TRIGA_CHECK(!residual.defined() ||
                  (residual.is_contiguous() && residual.scalar_type() == x.scalar_type() &&
                   residual.device() == x.device()),
              "residual and input differ in type or device");
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor y = at::empty_like(x);
  MaskArguments arguments;
  arguments.x = x.const_data_ptr();
  arguments.residual = residual.defined() ? residual.const_data_ptr() : nullptr;
  arguments.y = y.mutable_data_ptr();
  arguments.numel = x.numel();
  arguments.key = masking.key;
  arguments.counter_high = masking.counter_high;
  arguments.threshold = masking.threshold;
  arguments.scale = masking.scale;
  C10_CUDA_CHECK(launch_mask(element_type(x.scalar_type()), arguments,
                             c10::cuda::getCurrentCUDAStream(x.device().index()).stream()));
  return y;
}

}  // namespace

DeviceKernels cuda_kernels() {
  DeviceKernels kernels;
  kernels.mask = &mask;
  return kernels;
}

}  // namespace triga
